"""The invented company: same seed same company, troubles as promised, nothing else out of line."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.bitrix24 import TABLES, Bitrix24Client, Bitrix24Connector
from sources.bitrix24.details import Owner
from sources.connection import Tally
from sources.demo.generator import SIZES, TROUBLES, Chunk, CompanySize, generate, write_store
from sources.demo.generator.dictionaries import SMART_PROCESS_TYPE_ID
from sources.demo.generator.ids import STRIDE
from sources.demo.generator.pipelines import PIPELINES
from sources.demo.generator.raw import write_raw_parquet
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import ENTITIES, PortalStore

TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
SECOND = 1_000_000
DAY = 86_400 * SECOND
MOSCOW = 3 * 3_600 * SECOND
CLOCK = int(dt.datetime(2026, 6, 30, 15, tzinfo=dt.UTC).timestamp()) * SECOND
SLOT_OF_HEAVY_CALLS = 1 + list(TROUBLES).index("contact_with_thousands_of_calls")
RULES = Path(__file__).parents[3] / "companies" / "demo"


class Company:
    """The small company, read from its store with plain SQL."""

    def __init__(self, store: PortalStore, planted: dict[str, list[dict[str, Any]]]) -> None:
        self.store = store
        self.planted = planted

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self.store.query(sql, parameters)]

    def value(self, sql: str, *parameters: object) -> Any:
        return self.store.query(sql, parameters)[0][0]

    def own(self, entity: str, condition: str = "true") -> int:
        """How many records are the company's own: ids of planted ones have other remainders."""
        first = f"select min(ID) % {STRIDE} from contact where COMPANY_ID is not null"
        if entity == "deal":
            first = f"select min(ID) % {STRIDE} from deal where LEAD_ID is not null"
        return int(
            self.value(
                f'select count(*) from "{entity}" where ID % {STRIDE} = ({first}) and {condition}'
            )
        )

    def record(self, entity: str, record_id: int) -> dict[str, Any]:
        (row,) = self.rows(f'select * from "{entity}" where "ID" = ?', record_id)
        return row

    def history(self, deal_id: int) -> list[dict[str, Any]]:
        return self.rows(
            "select * from stage_history where OWNER_ID = ? order by CREATED_TIME, ID", deal_id
        )

    def deals_of(self, contact_id: int) -> list[int]:
        return [
            row["ID"]
            for row in self.rows("select ID from deal where CONTACT_ID = ? order by ID", contact_id)
        ]

    def bound_deal(self, call: dict[str, Any]) -> int | None:
        if call["CRM_ACTIVITY_ID"] is None:
            return None
        activity = self.record("activity", call["CRM_ACTIVITY_ID"])
        return activity["OWNER_ID"] if activity["OWNER_TYPE_ID"] == 2 else None


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    path = tmp_path_factory.mktemp("generator") / "small.sqlite"
    planted = write_store(path)
    with PortalStore(path, read_only=True) as store:
        yield Company(store, planted)


@pytest.fixture(scope="module")
def tiny() -> list[Chunk]:
    return list(generate(TINY))


def microseconds(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * SECOND


def frames_by_label(chunks: Sequence[Chunk]) -> dict[tuple[str, str], pd.DataFrame]:
    return {(c.label, entity): rows for c in chunks for entity, rows in c.frames.items()}


def assert_equal_frames(
    left: dict[tuple[str, str], pd.DataFrame], right: dict[tuple[str, str], pd.DataFrame]
) -> None:
    assert left.keys() == right.keys()
    for key, rows in left.items():
        assert rows.equals(right[key]), key


# --- the same company every time


def test_the_same_seed_gives_the_same_company(tiny: list[Chunk]) -> None:
    again = list(generate(TINY, 1))

    assert_equal_frames(frames_by_label(tiny), frames_by_label(again))
    assert [chunk.planted for chunk in tiny] == [chunk.planted for chunk in again]


def test_another_seed_gives_another_company(tiny: list[Chunk]) -> None:
    ours, theirs = frames_by_label(tiny), frames_by_label(list(generate(TINY, 2)))

    for entity in ("contact", "deal", "stage_history", "activity", "call"):
        assert not ours["2026-03", entity].equals(theirs["2026-03", entity])
        assert not ours["calls_after_close", entity].equals(theirs["calls_after_close", entity])
    for entity in (
        "lead", "lead_stage_history", "product_row", "task", "task_history", "timeline_comment",
        "binding",
    ):  # fmt: skip
        assert not ours["2026-03", entity].equals(theirs["2026-03", entity])
    for entity in ("task", "task_history"):
        assert not ours["moved_deadlines", entity].equals(theirs["moved_deadlines", entity])


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_alone_is_the_same_as_among_all_others(tiny: list[Chunk], name: str) -> None:
    expected = [chunk for chunk in tiny if chunk.label == name or chunk.label not in TROUBLES]

    alone = list(generate(TINY, without=TROUBLES.keys() - {name}))

    assert_equal_frames(frames_by_label(expected), frames_by_label(alone))
    assert [chunk.planted for chunk in expected] == [chunk.planted for chunk in alone]


@pytest.mark.parametrize(
    "left_out",
    ["dismissed_before_first_load", "contacts_with_two_open_deals", "calls_after_close"],
)
def test_a_trouble_left_out_changes_no_other_record(tiny: list[Chunk], left_out: str) -> None:
    others = [chunk for chunk in tiny if chunk.label != left_out]

    without = list(generate(TINY, without={left_out}))

    assert_equal_frames(frames_by_label(others), frames_by_label(without))
    assert [chunk.planted for chunk in others] == [chunk.planted for chunk in without]


def test_an_unknown_trouble_or_size_is_refused() -> None:
    with pytest.raises(ValueError, match="no trouble"):
        next(generate(TINY, without={"flood"}))
    with pytest.raises(ValueError, match="no size 'huge'"):
        next(generate("huge"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="months is 3"):
        CompanySize(deals=90, calls=700, contacts=70, months=3)


def test_an_existing_store_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "portal.sqlite").write_text("mine")

    with pytest.raises(FileExistsError):
        write_store(tmp_path / "portal.sqlite", TINY)

    assert (tmp_path / "portal.sqlite").read_text() == "mine"


# --- shape


def test_frames_have_the_stores_columns_and_no_floating_point(tiny: list[Chunk]) -> None:
    for chunk in tiny:
        assert chunk.frames.keys() == ENTITIES.keys()
        for name, rows in chunk.frames.items():
            assert list(rows.columns) == list(ENTITIES[name].columns)
            for column, kind in ENTITIES[name].columns.items():
                expected = "string" if kind in ("text", "decimal", "json") else "Int64"
                assert rows[column].dtype == expected, (name, column)


def test_ids_are_unique_over_all_chunks(tiny: list[Chunk]) -> None:
    for entity in ENTITIES:
        ids = pd.concat([chunk.frames[entity]["ID"] for chunk in tiny])
        assert ids.is_unique, entity
        assert ids.notna().all(), entity


def test_the_small_company_has_its_size(company: Company) -> None:
    size = SIZES["small"]
    heavy = f"select count(*) from call where ID % {STRIDE} = {SLOT_OF_HEAVY_CALLS}"
    calls = company.own("call") + company.value(heavy)
    assert company.own("deal") == pytest.approx(size.deals, rel=0.01)
    assert calls == pytest.approx(size.calls, rel=0.005)
    assert company.own("contact") == pytest.approx(size.contacts, rel=0.01)
    planted = {
        entity: company.value(f"select count(*) from {entity}") - company.own(entity)
        for entity in ("deal", "contact")
    }
    assert max(planted.values()) < 350
    assert company.value("select count(*) from call") - calls < 1_500
    assert company.value("select count(*) from category where ENTITY_TYPE_ID = 2") == 5
    assert company.value("select count(*) from user where ID < 1000") == size.employees
    assert company.value("select count(*) from user where ID >= 1000") == 17
    months = company.value("select (? - min(DATE_CREATE)) / 86400e6 / 30.4 from deal", CLOCK)
    assert 17 < months < 18.5


def test_meta_says_what_the_portal_needs(company: Company) -> None:
    assert company.store.clock == dt.datetime(2026, 6, 30, 15, tzinfo=dt.UTC)
    assert company.store.meta("utc_offset") == 180
    assert company.store.meta("seed") == 1
    assert company.store.meta("size") == "small"
    assert company.store.meta("planted") == company.planted
    assert company.planted.keys() == TROUBLES.keys()


# --- integrity


def test_every_reference_leads_to_a_record(company: Company) -> None:
    references = (
        ("deal", "CONTACT_ID", "contact", ""),
        ("deal", "CATEGORY_ID", "category", ""),
        ("deal", "ASSIGNED_BY_ID", "user", ""),
        ("deal", "MOVED_BY_ID", "user", ""),
        ("deal", "CREATED_BY_ID", "user", ""),
        ("deal", "MODIFY_BY_ID", "user", ""),
        ("deal", "LEAD_ID", "lead", ""),
        ("deal", "COMPANY_ID", "company", ""),
        ("contact", "ASSIGNED_BY_ID", "user", ""),
        ("contact", "COMPANY_ID", "company", ""),
        ("stage_history", "OWNER_ID", "deal", ""),
        ("activity", "OWNER_ID", "lead", "and OWNER_TYPE_ID = 1"),
        ("activity", "OWNER_ID", "deal", "and OWNER_TYPE_ID = 2"),
        ("activity", "OWNER_ID", "contact", "and OWNER_TYPE_ID = 3"),
        ("activity", "RESPONSIBLE_ID", "user", ""),
        ("call", "PORTAL_USER_ID", "user", ""),
        ("call", "CRM_ACTIVITY_ID", "activity", ""),
        ("call", "CRM_ENTITY_ID", "contact", "and CRM_ENTITY_TYPE = 'CONTACT'"),
        ("call", "CRM_ENTITY_ID", "company", "and CRM_ENTITY_TYPE = 'COMPANY'"),
        ("department", "UF_HEAD", "user", ""),
        ("department", "PARENT", "department", ""),
    )
    for table, column, target, condition in references:
        lost = company.value(
            f'select count(*) from "{table}" where "{column}" is not null {condition} '
            f'and "{column}" not in (select ID from "{target}")'
        )
        assert lost == 0, (table, column)
    assert company.value("select count(*) from activity where OWNER_TYPE_ID not in (1, 2, 3)") == 0


def test_stages_and_sources_are_in_the_dictionary(company: Company) -> None:
    stages = {
        (int(row["ENTITY_ID"].removeprefix("DEAL_STAGE").removeprefix("_") or 0), row["STATUS_ID"])
        for row in company.rows("select * from status where ENTITY_ID like 'DEAL_STAGE%'")
    }
    used = {
        (row["CATEGORY_ID"], row["STAGE_ID"])
        for row in company.rows("select CATEGORY_ID, STAGE_ID from stage_history")
    }
    assert used <= stages
    for category, stage_id in stages:
        assert stage_id.startswith(f"C{category}:") == (category > 0)
    sources = "select STATUS_ID from status where ENTITY_ID = 'SOURCE'"
    assert company.value(f"select count(*) from deal where SOURCE_ID not in ({sources})") == 0


def test_each_pipeline_has_one_won_stage_and_one_to_three_lost_ones(company: Company) -> None:
    for category in range(5):
        entity_id = f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
        statuses = company.rows("select * from status where ENTITY_ID = ? order by SORT", entity_id)
        found = Counter(row["SEMANTICS"] for row in statuses)
        assert found["S"] == 1
        assert 1 <= found["F"] <= 3
        assert 4 <= found[None] <= 6
        assert [row["SORT"] for row in statuses] == [10 * n for n in range(1, len(statuses) + 1)]


def test_a_deal_stands_where_its_history_ends(company: Company) -> None:
    last: dict[int, dict[str, Any]] = {}
    first: dict[int, dict[str, Any]] = {}
    for row in company.rows("select * from stage_history order by OWNER_ID, CREATED_TIME, ID"):
        before = last.get(row["OWNER_ID"])
        assert before is None or before["ID"] < row["ID"]
        assert row["TYPE_ID"] == 1 or before is not None
        first.setdefault(row["OWNER_ID"], row)
        last[row["OWNER_ID"]] = row
    deals = company.rows("select * from deal")
    assert {deal["ID"] for deal in deals} == last.keys()
    for deal in deals:
        end = last[deal["ID"]]
        assert first[deal["ID"]]["TYPE_ID"] == 1
        assert first[deal["ID"]]["CREATED_TIME"] == deal["DATE_CREATE"]
        assert end["STAGE_ID"] == deal["STAGE_ID"]
        assert end["CATEGORY_ID"] == deal["CATEGORY_ID"]
        assert end["STAGE_SEMANTIC_ID"] == deal["STAGE_SEMANTIC_ID"]
        assert end["CREATED_TIME"] == deal["MOVED_TIME"] <= deal["DATE_MODIFY"]
        assert deal["CLOSED"] == (deal["STAGE_SEMANTIC_ID"] != "P")


def test_a_calls_activity_says_the_same_as_the_call(company: Company) -> None:
    pairs = company.rows(
        'select c.CALL_ID, c.CALL_START_DATE, c.PORTAL_USER_ID, a.* from "call" as c '
        "join activity as a on a.ID = c.CRM_ACTIVITY_ID"
    )
    assert len(pairs) > 10_000
    for pair in pairs:
        assert pair["ORIGIN_ID"] == f"VI_{pair['CALL_ID']}"
        assert pair["START_TIME"] == pair["CALL_START_DATE"]
        assert pair["RESPONSIBLE_ID"] == pair["PORTAL_USER_ID"]
        assert (pair["TYPE_ID"], pair["PROVIDER_ID"]) == (2, "VOXIMPLANT_CALL")
    assert len({pair["CALL_ID"] for pair in pairs}) == len(pairs)


def test_nothing_is_later_than_the_clock(company: Company) -> None:
    planned = {"CLOSEDATE", "DEADLINE", "START_TIME", "END_TIME"}
    for entity in ENTITIES.values():
        for column, kind in entity.columns.items():
            if kind == "instant" and column not in planned:
                latest = company.value(f'select max("{column}") from "{entity.name}"')
                assert latest is None or latest <= CLOCK, (entity.name, column)
    assert company.value("select max(CALL_START_DATE + CALL_DURATION * 1000000) from call") <= CLOCK
    planned_only = "select count(*) from activity where START_TIME > ? and COMPLETED = 1"
    assert company.value(planned_only, CLOCK) == 0


def test_contacts_numbers_are_valid_ones_of_unassigned_ranges(company: Company) -> None:
    written = Counter()
    for row in company.rows("select PHONE from contact"):
        for item in json.loads(row["PHONE"]):
            assert item.keys() == {"ID", "VALUE_TYPE", "VALUE", "TYPE_ID"}
            number = phonenumbers.parse(item["VALUE"], "RU")
            assert phonenumbers.is_valid_number(number)
            assert str(number.national_number)[:3] in ("972", "973")
            written[number.national_number] += 1
    assert 3 <= sum(count > 1 for count in written.values()) <= 30


# --- believable


def test_calls_follow_the_working_day_and_week(company: Company) -> None:
    starts = [row["t"] + MOSCOW for row in company.rows("select CALL_START_DATE as t from call")]
    assert all(start % SECOND == 0 for start in starts)
    hours = Counter(start % DAY // (3_600 * SECOND) for start in starts)
    weekdays = Counter((start // DAY + 3) % 7 for start in starts)
    assert sum(hours[hour] for hour in range(8, 20)) > 0.97 * len(starts)
    assert hours[13] < hours[11]
    assert 0 < weekdays[5] + weekdays[6] < 0.06 * len(starts)
    assert max(weekdays[day] for day in range(5)) < 1.4 * min(weekdays[day] for day in range(5))


def test_calls_are_of_all_kinds_in_believable_shares(company: Company) -> None:
    total = company.value("select count(*) from call")

    def share(condition: str) -> float:
        count: int = company.value(f"select count(*) from call where {condition}")
        return count / total

    assert {r["t"] for r in company.rows("select distinct CALL_TYPE as t from call")} == set(
        range(1, 6)
    )
    assert share("CRM_ENTITY_ID is not null") == pytest.approx(0.85, abs=0.04)
    assert share("CRM_ACTIVITY_ID is not null") == pytest.approx(0.80, abs=0.04)
    assert 0.002 < share("PHONE_NUMBER = ''") < 0.03
    assert share("CALL_FAILED_CODE = '200'") == pytest.approx(0.77, abs=0.05)
    assert share("(CALL_FAILED_CODE = '200') <> (CALL_DURATION > 0)") == 0


def test_deals_end_in_believable_shares(company: Company) -> None:
    total = company.own("deal")
    for semantics, expected in (("S", 0.25), ("F", 0.45), ("P", 0.30)):
        count = company.own("deal", f"STAGE_SEMANTIC_ID = '{semantics}'")
        assert count / total == pytest.approx(expected, abs=0.03)


def test_the_old_pipeline_has_cards_but_no_new_deals(company: Company) -> None:
    assert company.value("select count(*) from deal where CATEGORY_ID = 4 and CLOSED = 0") > 5
    newest = company.value("select max(DATE_CREATE) from deal where CATEGORY_ID = 4")
    assert newest < CLOCK - 180 * DAY


def test_nobody_is_in_two_calls_at_once_but_on_the_shared_line(company: Company) -> None:
    (entry,) = company.planted["shared_line"]
    calls = company.rows("select * from call order by PORTAL_USER_ID, CALL_START_DATE")
    overlapping = {
        (before["ID"], after["ID"])
        for before, after in pairwise(calls)
        if before["PORTAL_USER_ID"] == after["PORTAL_USER_ID"]
        and after["CALL_START_DATE"] < before["CALL_START_DATE"] + before["CALL_DURATION"] * SECOND
    }
    assert overlapping == set(zip(entry["call_ids"][::2], entry["call_ids"][1::2], strict=True))


def test_ids_of_calls_grow_with_their_end_but_not_with_their_start(company: Company) -> None:
    calls = company.rows("select * from call order by ID")
    late = sum(a["CALL_START_DATE"] > b["CALL_START_DATE"] for a, b in pairwise(calls))
    assert late > 10
    ends = [call["CALL_START_DATE"] + call["CALL_DURATION"] * SECOND for call in calls]
    assert sum(a > b for a, b in pairwise(ends)) < 0.02 * len(ends)


# --- the planted troubles


def test_every_trouble_is_planted_with_plain_values(company: Company) -> None:
    assert all(company.planted[name] for name in TROUBLES)
    assert json.loads(json.dumps(company.planted)) == company.planted


@pytest.mark.parametrize(
    ("name", "earliest_days", "latest_days"),
    [("dismissed_before_first_load", 190, 540), ("dismissed_inside_period", 5, 183)],
)
def test_dismissed_people_own_open_deals_and_stopped_then(
    company: Company, name: str, earliest_days: int, latest_days: int
) -> None:
    for entry in company.planted[name]:
        user = company.record("user", entry["user_id"])
        ended = microseconds(entry["last_own_action_at"])
        assert user["ACTIVE"] == 0
        assert max(user["LAST_LOGIN"], user["LAST_ACTIVITY_DATE"]) == ended
        assert earliest_days * DAY < CLOCK - ended < latest_days * DAY
        owned = company.rows("select * from deal where ASSIGNED_BY_ID = ?", user["ID"])
        still_open = [deal["ID"] for deal in owned if deal["STAGE_SEMANTIC_ID"] == "P"]
        assert sorted(still_open) == sorted(entry["open_deal_ids"])
        assert still_open
        assert {deal["STAGE_SEMANTIC_ID"] for deal in owned} == {"P", "S", "F"}
        assert all(deal["MOVED_TIME"] < ended for deal in owned)
        calls = company.rows("select * from call where PORTAL_USER_ID = ?", user["ID"])
        assert len(calls) >= 20
        assert all(call["CALL_START_DATE"] < ended for call in calls)


def test_calls_go_on_under_an_account_after_the_last_own_action(company: Company) -> None:
    for entry in company.planted["works_after_dismissal"]:
        user = company.record("user", entry["user_id"])
        ended = microseconds(entry["last_own_action_at"])
        assert user["ACTIVE"] == 0
        assert max(user["LAST_LOGIN"], user["LAST_ACTIVITY_DATE"]) == ended
        first_day_after = (ended + MOSCOW) // DAY * DAY + DAY - MOSCOW
        calls = company.rows("select * from call where PORTAL_USER_ID = ?", user["ID"])
        late = {call["ID"] for call in calls if call["CALL_START_DATE"] >= first_day_after}
        early = {call["ID"] for call in calls if call["CALL_START_DATE"] < ended}
        assert late == set(entry["call_ids"])
        assert early | late == {call["ID"] for call in calls}
        assert early


def test_a_shared_line_has_two_active_users(company: Company) -> None:
    for entry in company.planted["shared_line"]:
        users = company.rows("select * from user where UF_PHONE_INNER = ?", entry["extension"])
        assert {user["ID"] for user in users} == set(entry["user_ids"])
        assert all(user["ACTIVE"] for user in users)
        assert len(users) == 2
        for call_id in entry["call_ids"]:
            assert company.record("call", call_id)["PORTAL_USER_ID"] == entry["user_ids"][0]
    extensions = Counter(
        row["UF_PHONE_INNER"]
        for row in company.rows("select * from user where UF_PHONE_INNER is not null")
    )
    shared = {extension for extension, users in extensions.items() if users > 1}
    assert shared == {entry["extension"] for entry in company.planted["shared_line"]}


def is_open_at(company: Company, deal_id: int, moment: int) -> bool:
    entered = [row for row in company.history(deal_id) if row["CREATED_TIME"] <= moment]
    return bool(entered) and entered[-1]["STAGE_SEMANTIC_ID"] == "P"


def assert_reached_through_the_client_alone(company: Company, call: dict[str, Any]) -> None:
    """No deal behind the call; its number is one contact's; that contact has no company."""
    assert company.bound_deal(call) is None
    number = call["PHONE_NUMBER"][-7:]
    owners = [
        row
        for row in company.rows("select * from contact")
        if number in "".join(filter(str.isdigit, row["PHONE"]))
    ]
    assert len(owners) == 1
    assert owners[0]["COMPANY_ID"] is None
    if call["CRM_ENTITY_ID"] is not None:
        assert (call["CRM_ENTITY_TYPE"], call["CRM_ENTITY_ID"]) == ("CONTACT", owners[0]["ID"])


def test_calls_of_a_client_with_two_open_deals_choose_as_the_definition_says(
    company: Company,
) -> None:
    reasons = set()
    for entry in company.planted["contacts_with_two_open_deals"]:
        assert company.deals_of(entry["contact_id"]) == sorted(entry["deal_ids"])
        for item in entry["calls"]:
            call = company.record("call", item["call_id"])
            started = call["CALL_START_DATE"]
            assert_reached_through_the_client_alone(company, call)
            assert all(is_open_at(company, deal_id, started) for deal_id in entry["deal_ids"])
            deals = [company.record("deal", deal_id) for deal_id in entry["deal_ids"]]
            assert {deal["CATEGORY_ID"] for deal in deals} == {0}
            own = [d["ID"] for d in deals if d["ASSIGNED_BY_ID"] == call["PORTAL_USER_ID"]]
            entries = {
                deal_id: max(
                    row["CREATED_TIME"]
                    for row in company.history(deal_id)
                    if row["CREATED_TIME"] <= started
                )
                for deal_id in entry["deal_ids"]
            }
            latest = [deal_id for deal_id in entries if entries[deal_id] == max(entries.values())]
            if own:
                assert own == [item["chosen_deal_id"]]
                reasons.add("own, moved last" if own == latest else "own, moved earlier")
            elif len(latest) == 1:
                assert latest == [item["chosen_deal_id"]]
                reasons.add(
                    "latest, lower id" if latest[0] == min(entries) else "latest, higher id"
                )
            else:
                assert item["chosen_deal_id"] == min(latest)
                assert min(latest, key=str) != min(latest), "text order must be wrong"
                reasons.add("lowest id")
    assert reasons == {
        "own, moved last",
        "own, moved earlier",
        "latest, lower id",
        "latest, higher id",
        "lowest id",
    }


def test_calls_start_in_the_very_second_of_a_move(company: Company) -> None:
    for entry in company.planted["calls_in_the_second_of_a_move"]:
        call = company.record("call", entry["call_id"])
        (row,) = [
            row
            for row in company.history(entry["deal_id"])
            if row["CREATED_TIME"] == call["CALL_START_DATE"]
        ]
        assert row["TYPE_ID"] == 2
        assert (row["CATEGORY_ID"], row["STAGE_ID"]) == (entry["category_id"], entry["stage_id"])
        bound = company.bound_deal(call)
        assert bound in (None, entry["deal_id"])
        if bound is None:
            assert_reached_through_the_client_alone(company, call)
        assert company.deals_of(call["CRM_ENTITY_ID"]) == [entry["deal_id"]]


def test_stage_revisits_are_counted_right(company: Company) -> None:
    for entry in company.planted["stage_revisits"]:
        stages = [(r["CATEGORY_ID"], r["STAGE_ID"]) for r in company.history(entry["deal_id"])]
        assert all(before != after for before, after in pairwise(stages))
        assert stages.count((entry["category_id"], entry["stage_id"])) == entry["visits"] > 1


def test_deals_moved_between_pipelines_are_exactly_the_planted_ones(company: Company) -> None:
    entries = {entry["deal_id"]: entry for entry in company.planted["moved_between_pipelines"]}
    moves = company.rows("select * from stage_history where TYPE_ID = 5")
    assert {move["OWNER_ID"] for move in moves} == entries.keys()
    for move in moves:
        entry = entries[move["OWNER_ID"]]
        history = company.history(move["OWNER_ID"])
        before = history[[row["ID"] for row in history].index(move["ID"]) - 1]
        assert before["CATEGORY_ID"] == entry["from_category_id"]
        assert move["CATEGORY_ID"] == entry["to_category_id"] != entry["from_category_id"]
        assert move["CREATED_TIME"] == microseconds(entry["moved_at"])
        assert company.record("deal", move["OWNER_ID"])["CATEGORY_ID"] == entry["to_category_id"]


def test_lost_deals_moved_to_another_lost_stage_are_exactly_the_planted_ones(
    company: Company,
) -> None:
    twice = company.rows(
        "select OWNER_ID from stage_history where STAGE_SEMANTIC_ID = 'F' "
        "group by OWNER_ID having count(*) > 1"
    )
    entries = company.planted["lost_to_other_lost"]
    assert {row["OWNER_ID"] for row in twice} == {entry["deal_id"] for entry in entries}
    for entry in entries:
        first, second = company.history(entry["deal_id"])[-2:]
        assert [first["STAGE_ID"], second["STAGE_ID"]] == entry["stage_ids"]
        assert first["STAGE_SEMANTIC_ID"] == second["STAGE_SEMANTIC_ID"] == "F"
        assert first["CATEGORY_ID"] == second["CATEGORY_ID"]
        assert first["CREATED_TIME"] == microseconds(entry["first_lost_at"])
        assert second["CREATED_TIME"] == microseconds(entry["second_lost_at"])


def test_wins_without_amount_are_exactly_the_planted_ones(company: Company) -> None:
    found = company.rows(
        "select ID from deal where STAGE_SEMANTIC_ID = 'S' and cast(OPPORTUNITY as real) = 0"
    )
    assert {row["ID"] for row in found} == {
        entry["deal_id"] for entry in company.planted["zero_amount_wins"]
    }


def test_planted_missed_calls_stay_the_only_call_of_their_number(company: Company) -> None:
    for entry in company.planted["missed_never_called_back"]:
        call = company.record("call", entry["call_id"])
        number = phonenumbers.parse(call["PHONE_NUMBER"], "RU")
        assert f"+{number.country_code}{number.national_number}" == entry["phone"]
        assert (call["CALL_TYPE"], call["CALL_FAILED_CODE"], call["CALL_DURATION"]) == (2, "304", 0)
        assert CLOCK - call["CALL_START_DATE"] > DAY
        same = company.value(
            "select count(*) from call where PHONE_NUMBER like ?", f"%{number.national_number}"
        )
        assert same == 1
        assert call["CRM_ENTITY_ID"] == entry["contact_id"]
        if entry["contact_id"] is not None:
            assert_reached_through_the_client_alone(company, call)
    assert {
        entry["contact_id"] is None for entry in company.planted["missed_never_called_back"]
    } == {
        True,
        False,
    }


def test_calls_after_close_are_bound_or_within_days_as_promised(company: Company) -> None:
    kinds = set()
    for entry in company.planted["calls_after_close"]:
        call = company.record("call", entry["call_id"])
        deal = company.record("deal", entry["deal_id"])
        assert company.deals_of(deal["CONTACT_ID"]) == [deal["ID"]]
        assert call["CRM_ENTITY_ID"] == deal["CONTACT_ID"]
        assert deal["STAGE_SEMANTIC_ID"] in ("S", "F")
        after = call["CALL_START_DATE"] - deal["MOVED_TIME"]
        assert after // DAY == entry["days_after"]
        is_bound = company.bound_deal(call) == deal["ID"]
        if not is_bound:
            assert_reached_through_the_client_alone(company, call)
        expected = "after_close" if is_bound or after <= 30 * DAY else "no_open_card"
        assert entry["expected_method"] == expected
        kinds.add((is_bound, after <= 30 * DAY))
    assert kinds == {(True, True), (True, False), (False, True), (False, False)}


def test_calls_bound_to_a_later_deal_precede_it_by_the_minutes(company: Company) -> None:
    for entry in company.planted["calls_bound_to_a_later_deal"]:
        call = company.record("call", entry["call_id"])
        deal = company.record("deal", entry["deal_id"])
        assert company.bound_deal(call) == deal["ID"]
        assert company.deals_of(deal["CONTACT_ID"]) == [deal["ID"]]
        assert deal["LEAD_ID"] is None
        before = deal["DATE_CREATE"] - call["CALL_START_DATE"]
        assert before == entry["minutes_before"] * 60 * SECOND
        expected = "started_deal" if before <= 3_600 * SECOND else "before_deal"
        assert entry["expected_method"] == expected
    methods = {e["expected_method"] for e in company.planted["calls_bound_to_a_later_deal"]}
    assert methods == {"started_deal", "before_deal"}


def test_one_contact_has_thousands_of_calls(company: Company) -> None:
    (entry,) = company.planted["contact_with_thousands_of_calls"]
    (item,) = json.loads(company.record("contact", entry["contact_id"])["PHONE"])
    number = phonenumbers.parse(item["VALUE"], "RU").national_number
    count = company.value("select count(*) from call where PHONE_NUMBER like ?", f"%{number}")
    assert count == entry["calls"] == 2_000


# --- the company's rules


def test_the_demo_rules_name_every_pipeline_and_only_known_stages(company: Company) -> None:
    with (RULES / "pipelines.csv").open(encoding="utf-8") as file:
        pipelines = list(csv.DictReader(file))
    with (RULES / "stages.csv").open(encoding="utf-8") as file:
        stages = list(csv.DictReader(file))
    assert [int(row["pipeline_id"]) for row in pipelines] == [p.category_id for p in PIPELINES]
    assert {row["role"] for row in pipelines} == {"sales", "setter", "service"}
    known = {
        (row["CATEGORY_ID"], row["STATUS_ID"])
        for row in company.rows("select * from status where CATEGORY_ID is not null")
    }
    assert {(int(row["pipeline_id"]), row["stage_id"]) for row in stages} <= known
    assert {row["role"] for row in stages} == {
        "key", "qualified", "appointment", "proposal", "contract", "invoice", "payment",
    }  # fmt: skip
    assert {row["connection"] for row in pipelines + stages} == {"main"}


# --- raw tables without a portal


def owners_with_details(store: PortalStore) -> dict[str, list[Owner]]:
    """Whose details `write_raw_parquet` writes: all of them, and calls that are no deal's."""

    def ids(entity: str, condition: str = "true") -> list[int]:
        sql = f'select ID from "{entity}" where {condition} order by ID'
        return [row["ID"] for row in store.query(sql)]

    def owners(kind: str, found: list[int]) -> list[Owner]:
        return [Owner(kind, record_id, None) for record_id in found]

    deals = owners("deal", ids("deal"))
    return {
        "product_rows": deals,
        "activity_bindings": owners(
            "activity", ids("activity", "TYPE_ID = 2 and OWNER_TYPE_ID <> 2")
        ),
        "task_history": owners("task", ids("task")),
        "timeline_comments": [*deals, *owners("lead", ids("lead"))],
    }


def test_raw_parquet_is_what_the_source_makes_of_the_portals_answers(tmp_path: Path) -> None:
    write_store(tmp_path / "tiny.sqlite", TINY)
    planted = write_raw_parquet(tmp_path / "raw", TINY, 1, "bitrix24:main")
    served: dict[str, list[pa.Table]] = {name: [] for name in TABLES}

    with (
        PortalStore(tmp_path / "tiny.sqlite", read_only=True) as store,
        serve_in_thread(Portal(store)) as address,
    ):
        assert store.meta("planted") == planted
        client = Bitrix24Client(address, requests_per_second=1_000.0)
        connector = Bitrix24Connector(client, "main", [SMART_PROCESS_TYPE_ID])
        tally, cut = Tally(), connector.cut()
        for source in (
            connector.source(cut, tally),
            connector.detail_source(owners_with_details(store), tally),
        ):
            for name, resource in source.resources.items():
                target = "smart_items" if name.startswith("smart_items") else name
                if target in served:
                    served[target] += [rows for rows in resource if rows is not None]
        connector.close()

    assert not sum(tally.quarantined.values())
    assert not tally.refused | tally.failed
    assert {folder.name for folder in (tmp_path / "raw").iterdir()} == TABLES.keys()
    for name, table in TABLES.items():
        parts = sorted((tmp_path / "raw" / name).iterdir())
        written = pa.concat_tables([pq.read_table(part) for part in parts])
        assert written.schema.equals(table.schema), name
        assert len(written) > 0, name
        order = [(column, "ascending") for column in table.primary_key]
        ours, theirs = written.sort_by(order), pa.concat_tables(served[name]).sort_by(order)
        assert theirs.schema.equals(table.schema), name
        different = {column for column in ours.column_names if ours[column] != theirs[column]}
        assert not different, name


def test_raw_parquet_goes_to_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    with pytest.raises(FileExistsError):
        write_raw_parquet(tmp_path, TINY)
