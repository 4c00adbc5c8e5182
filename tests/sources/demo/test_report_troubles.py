"""Troubles that only a report shows: accounts and clients of their own, and the right size."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sources.demo.generator import TROUBLES, Chunk, CompanySize, generate
from sources.demo.generator.people import CAMPAIGN_TEAM, NEW_TEAM, PARTNERS_TEAM
from sources.demo.generator.report_troubles import REPORT_TROUBLES

TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
SELLERS = {
    "short_calls", "record_months", "calls_without_trace", "cards_changed_without_call",
    "canned_comments",
}  # fmt: skip


@pytest.fixture(scope="module")
def chunks() -> dict[str, Chunk]:
    return {chunk.label: chunk for chunk in generate(TINY, seed=2)}


@pytest.mark.parametrize("name", REPORT_TROUBLES)
def test_it_has_one_account_and_uses_no_other(chunks: dict[str, Chunk], name: str) -> None:
    frames = chunks[name].frames
    (entry,) = chunks[name].planted
    (user,) = frames["user"]["ID"]
    assert user == entry["user_id"]
    for entity, columns in (
        ("deal", ("ASSIGNED_BY_ID", "CREATED_BY_ID", "MOVED_BY_ID", "MODIFY_BY_ID")),
        ("contact", ("ASSIGNED_BY_ID",)),
        ("call", ("PORTAL_USER_ID",)),
        ("timeline_comment", ("AUTHOR_ID",)),
        ("task", ("RESPONSIBLE_ID", "CREATED_BY")),
    ):
        for column in columns:
            assert set(frames[entity][column]) <= {user}, (entity, column)
    contacts = set(frames["contact"]["ID"])
    assert set(frames["deal"]["CONTACT_ID"]) <= contacts
    assert set(frames["call"]["CRM_ENTITY_ID"]) <= contacts
    elsewhere = [
        chunk
        for label, chunk in chunks.items()
        if label != name and (set(chunk.frames["deal"]["CONTACT_ID"].dropna()) & contacts)
    ]
    assert elsewhere == []


def test_those_of_signals_are_in_the_department_that_the_rules_name(
    chunks: dict[str, Chunk],
) -> None:
    departments = {
        name: json.loads(chunks[name].frames["user"]["UF_DEPARTMENT"].iloc[0])
        for name in REPORT_TROUBLES
    }
    assert {name for name, place in departments.items() if place == [NEW_TEAM]} == SELLERS
    assert departments["week_of_silence"] == [CAMPAIGN_TEAM]
    for name, chunk in chunks.items():
        if name in TROUBLES and name not in REPORT_TROUBLES:
            given = set(chunk.frames["user"]["UF_DEPARTMENT"])
            assert given <= {f"[{PARTNERS_TEAM}]"}


def test_there_are_few_enough_of_them(chunks: dict[str, Chunk]) -> None:
    count = Counter[str]()
    for name in REPORT_TROUBLES:
        for entity in ("deal", "call"):
            count[entity] += len(chunks[name].frames[entity])
    assert count["deal"] <= 250
    assert count["call"] <= 1_500


def test_what_people_write_about_cards_is_hardly_ever_the_same_twice(
    chunks: dict[str, Chunk],
) -> None:
    texts = Counter(
        text
        for label, chunk in chunks.items()
        if label not in TROUBLES
        for text in chunk.frames["timeline_comment"]["COMMENT"]
    )
    canned = {"", ".", "перезвонить", "перезвонить позже", "не дозвонился", "думает"}
    assert texts.total() > 100
    repeated = sum(count for text, count in texts.items() if text in canned)
    assert 0.1 < repeated / texts.total() < 0.35
    assert max(count for text, count in texts.items() if text not in canned) < 5


def test_only_troubles_of_the_reserved_sellers_have_a_part_of_the_day() -> None:
    assert list(TROUBLES)[:15] == [name for name in TROUBLES if name not in REPORT_TROUBLES]
    assert len(TROUBLES) == 15 + len(REPORT_TROUBLES)
