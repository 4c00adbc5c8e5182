"""The vendor's documented answers parse without a row in the quarantine."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from sources.amocrm import tables
from sources.amocrm.client import Answer
from sources.amocrm.dictionaries import Dictionaries
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.links import cut_links, drop_links, holds_links
from sources.amocrm.lists import LISTS
from sources.amocrm.paging import PageReader
from sources.connection import Tally
from sources.parsing import parse_rows

BODIES = Path(__file__).parents[2] / "data" / "amocrm"
NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def body(name: str) -> Any:
    return json.loads((BODIES / f"{name}.json").read_text())


class Documented:
    """Answers with the documented bodies."""

    host = "shop.example"

    def get(self, path: str, parameters: Any = None, form: Any = None) -> Answer:
        if path.endswith("custom_fields"):
            found = {"custom_fields": [body("custom_fields._get_custom_field_by_entity_type")]}
            return Answer({"_embedded": found}, found["custom_fields"], False, NOW)
        names = {
            "account": "base.get_account_info",
            "users": "users.get_users",
            "leads/pipelines": "pipelines.get_pipelines",
            "catalogs": "catalogs.get_catalogs",
            "leads/tags": "tags.get_tags_by_entity_type",
        }
        if path in names or path.endswith("/elements"):
            answer = body(names.get(path, "catalogs.get_catalog_elements"))
            rows = answer["_embedded"].get(path.rpartition("/")[2], [])
            return Answer(answer, rows, False, NOW)
        return Answer({}, [], False, NOW)


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        ("leads", "leads.get_leads"),
        ("contacts", "contacts.get_contacts"),
        ("companies", "companies.get_companies"),
        ("tasks", "tasks.get_tasks"),
        ("lead_notes", "notes.get_notes_by_entity_type"),
        ("unsorted", "unsorted.get_unsorted_leads"),
        ("deleted_leads", "leads.get_leads"),
    ],
)
def test_a_documented_list_is_read_whole(entity: str, name: str) -> None:
    listed = next(one for one in LISTS if one.name == entity)
    (given,) = body(name)["_embedded"].values()
    rows = listed.rows(given)
    for row in rows:
        drop_links(row)
    parsed, quarantined = parse_rows(listed.table, rows, "amocrm:shop", NOW)
    assert (len(parsed), quarantined) == (len(given), [])
    assert "_links" not in json.dumps(parsed.select(["extra"]).to_pylist())


def test_documented_events_are_read_whole() -> None:
    given = body("events.get_events.repaired")["_embedded"]["events"]
    for row in given:
        drop_links(row)
    parsed, quarantined = parse_rows(tables.EVENTS, given, "amocrm:shop", NOW)
    assert (len(parsed), quarantined) == (len(given), [])
    assert parsed.column("id").to_pylist()[0] == "01pz58t6p04ymgsgfbmfyfy1mf"


def test_documented_dictionaries_are_read_whole() -> None:
    tally = Tally()
    reader = PageReader(Documented())  # type: ignore[arg-type]
    extraction = AmoExtraction(reader, "amocrm:shop", tally)
    found = {
        name: [table for table in read() if table is not None]
        for name, read in Dictionaries(extraction).readers.items()
    }
    reader.close()
    assert set(tally.quarantined.values()) == {0}
    (users,) = found["users"]
    given = body("users.get_users")["_embedded"]["users"]
    assert users.column("is_active").to_pylist() == [one["rights"]["is_active"] for one in given]
    (statuses,) = found["statuses"]
    assert 142 in statuses.column("id").to_pylist()
    assert set(statuses.column("pipeline_id").to_pylist()) == {3177727}
    (groups,) = found["groups"]
    assert groups.column("name").to_pylist() == ["Отдел продаж"]
    enums = [row for table in found["custom_field_enums"] for row in table.to_pylist()]
    assert {(row["entity_type"], row["field_id"], row["value"]) for row in enums} >= {
        ("contacts", 3, "WORK")
    }
    assert found["account"][0].column("name").to_pylist() == ["example"]
    assert tally.reported == {"users": 2, "pipelines": 1}


def test_links_are_taken_out_of_what_is_embedded_too() -> None:
    row: Any = {
        "id": 1,
        "_links": {"self": {}},
        "_embedded": {"contacts": [{"id": 2, "_links": {}}], "entity": {"id": 3, "_links": {}}},
        "custom_fields_values": [{"_links": "a value"}],
    }
    drop_links(row)
    assert row == {
        "id": 1,
        "_embedded": {"contacts": [{"id": 2}], "entity": {"id": 3}},
        "custom_fields_values": [{"_links": "a value"}],
    }
    for other in ([1], {"_embedded": []}):
        drop_links(other)
        assert other in ([1], {"_embedded": []})


def without_links(given: Any) -> Any:
    """A list as it is read, after both ways of taking links out."""
    answer = json.loads(cut_links(json.dumps(given, separators=(",", ":")).encode()))
    for row in answer:
        drop_links(row)
    return answer


LINK = {"self": {"href": "https://shop.example/api/v4/leads/1?page=2&limit=250"}}


@pytest.mark.parametrize(
    "hostile",
    [
        ',"_links":{"self":{"href":"https://shop.example"}}',
        '","_links":{"self":{"href":"https://shop.example"}},"name":"',
        '\\","_links":{"self":{"href":"x"}}',
        '\\\\","_links":{"self":{"href":"x"}}\\',
        ',"_links":{"self":{"href":"',
        '"}}',
        '_links":{"self":{"href":"x"}},',
    ],
)
def test_texts_that_look_like_links_stay(hostile: str) -> None:
    rows = [
        {"id": 1, "name": hostile, "_links": LINK, "_embedded": {"tags": [{"name": hostile}]}},
        {hostile: hostile, "_links": {"self": {"href": hostile}}, "text": hostile},
        {"a": ",", "_links": LINK, "b": "\\", "_embedded": {"x": {"_links": LINK, "c": ","}}},
    ]
    expected = json.loads(json.dumps(rows))
    for row in expected:
        drop_links(row)
    assert without_links(rows) == expected


def test_links_of_the_apis_form_are_cut_before_they_are_read() -> None:
    rows = [{"id": 1, "_links": LINK, "_embedded": {"tags": [{"id": 2, "_links": LINK}]}}]
    for text in (
        json.dumps(rows, separators=(",", ":")),
        '[{"id":1,"_links":{"self":{"href":"https:\\/\\/shop.example\\/1"}}}]',
    ):
        assert b"_links" not in cut_links(text.encode())


@pytest.mark.parametrize(
    "links",
    [
        {"self": {"href": "https://shop.example"}, "next": {"href": "https://shop.example"}},
        {"self": {"href": "https://shop.example", "method": "get"}},
        {"self": {"href": "https://shop.example/\\u0451"}},
        {"next": {"href": "https://shop.example"}},
        {"self": {"href": None}},
    ],
)
def test_other_links_are_not_cut(links: Any) -> None:
    text = json.dumps({"_page": 1, "_links": links, "_embedded": {}}, separators=(",", ":"))
    assert cut_links(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"_links": {"next": {}}, "rows": [{"id": 1}]}, False),
        ({"_links": {"next": {}}, "rows": [{"id": 1, "_links": {}}]}, True),
        ({"rows": [{"id": 1, "_links": None}]}, True),
        ({"rows": [{"name": 'says "_links" and \\"_links\\":'}]}, False),
        ({}, False),
    ],
)
def test_a_document_holds_links_where_others_than_its_own_are_left(
    given: Any, expected: bool
) -> None:
    assert holds_links(json.dumps(given).encode(), given) is expected


def test_a_name_in_escapes_may_be_that_of_links() -> None:
    text = rb'{"rows": [{"id": 1, "\u005flinks": {}}]}'
    assert holds_links(text, json.loads(text))
    cyrillic = json.dumps({"rows": [{"name": "Заявка"}]}).encode()
    assert b"\\u04" in cyrillic
    assert not holds_links(cyrillic, {})


@pytest.mark.parametrize("file", sorted(BODIES.glob("*.get_*.json")), ids=lambda file: file.stem)
def test_documented_bodies_lose_links_alone(file: Path) -> None:
    given = json.loads(file.read_text())
    read = json.loads(cut_links(json.dumps(given, separators=(",", ":")).encode()))
    assert "next" in read.get("_links", ()) or "next" not in given.get("_links", ())
    for answer in (given, read):
        drop_links(answer)
        for rows in answer.get("_embedded", {}).values():
            for row in rows if isinstance(rows, list) else ():
                drop_links(row)
    assert read == given
