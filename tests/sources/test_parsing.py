"""Rows of the API become Arrow tables: every documented spelling, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sources import parsing
from sources.bitrix24.tables import (
    ACTIVITIES,
    ACTIVITY_BINDINGS,
    CALLS,
    CATEGORIES,
    COMPANIES,
    CONTACTS,
    CURRENCIES,
    DEALS,
    DEPARTMENTS,
    INVOICES,
    LEADS,
    PRODUCT_ROWS,
    STAGE_HISTORY,
    STATUSES,
    TABLES,
    USERS,
    Column,
    RawTable,
)
from sources.parsing import QuarantinedRow, Unreadable, parse_instant, parse_rows

BODIES = Path(__file__).parents[1] / "data" / "bitrix24" / "bodies"
UTC = dt.UTC
MOSCOW = dt.timezone(dt.timedelta(hours=3))
RECEIVED_AT = dt.datetime(2026, 3, 1, 12, tzinfo=MOSCOW)
DEAL = {"ID": "1", "STAGE_ID": "NEW", "DATE_CREATE": "2026-01-01T10:00:00+03:00"}
NOTHING = [None, "", [], {}]
CHANGES = RawTable(
    "changes",
    "no.such.method",
    (
        Column("id", "id", "integer", is_required=True),
        Column("value_from", "value.from", "text"),
        Column("value_to", "value.to", "instant"),
        Column("user_id", "user.id", "integer", is_required=True),
        Column("lead", "user.lead.isHead", "flag"),
    ),
)


@pytest.fixture(autouse=True, params=[10**9, 1], ids=["row_by_row", "as_a_block"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of reading have to give the numbers of this file."""
    monkeypatch.setattr(parsing, "_BLOCK_ROWS", request.param)


def parse(table: RawTable, *rows: Any) -> tuple[pa.Table, list[QuarantinedRow]]:
    parsed, quarantined = parse_rows(table, rows, "bitrix24:main", RECEIVED_AT)
    assert parsed.schema == table.schema
    assert parsed.num_rows + len(quarantined) == len(rows)
    return parsed, quarantined


def deal(**fields: Any) -> dict[str, Any]:
    """The one row of raw that a deal with these fields becomes."""
    parsed, quarantined = parse(DEALS, {**DEAL, **fields})
    assert quarantined == []
    return parsed.to_pylist()[0]


def reason(table: RawTable, row: Any) -> str:
    """Why a row can't be taken; its text must be kept."""
    parsed, quarantined = parse(table, row)
    assert parsed.num_rows == 0
    assert quarantined[0].table == table.name
    assert json.loads(quarantined[0].payload) == row
    return quarantined[0].reason


# Documented bodies


# The vendor's pages of these methods hold no well-formed answer.
NO_SAMPLE = {
    "crm.product.list",
    "crm.timeline.comment.list",
    "tasks.task.history.list",
    "tasks.task.list",
}
# What the source adds, since the portal does not print it in every row.
ADDED = {"activity_bindings": {"activityId": 999}}


def documented_rows(file: str) -> list[Any]:
    result = json.loads((BODIES / file).read_text(encoding="utf-8"))["result"]
    if isinstance(result, list):
        return result
    return [result] if "ID" in result else next(iter(result.values()))


@pytest.mark.parametrize(
    ("file", "table", "count"),
    [
        ("crm.deal.list.json", DEALS, None),
        ("crm.contact.list.json", CONTACTS, 5),
        ("crm.status.list.json", STATUSES, None),
        # Both samples select ID and one more field; only the id of an activity is required.
        ("crm.activity.list.ok.3.json", ACTIVITIES, 1),
        ("crm.activity.list.ok.4.json", ACTIVITIES, 1),
        ("crm.category.list.json", CATEGORIES, 4),
        ("crm.stagehistory.list.json", STAGE_HISTORY, 1),
        ("user.get.json", USERS, 2),
        ("department.get.json", DEPARTMENTS, 5),
        ("voximplant.statistic.get.json", CALLS, None),
        ("crm.company.list.json", COMPANIES, 1),
        ("crm.company.get.json", COMPANIES, 1),
        ("crm.lead.get.json", LEADS, 1),
        ("crm.item.list.json", INVOICES, 4),
        ("crm.item.productrow.list.json", PRODUCT_ROWS, 2),
        ("crm.currency.list.json", CURRENCIES, 4),
        ("crm.activity.binding.list.json", ACTIVITY_BINDINGS, 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_documented_body_loses_no_row_and_no_field(
    file: str, table: RawTable, count: int | None
) -> None:
    rows = [{**row, **ADDED.get(table.name, {})} for row in documented_rows(file)]
    assert rows
    assert count in (None, len(rows))
    parsed, quarantined = parse(table, *rows)
    assert quarantined == []
    declared = {column.field: column.name for column in table.columns}
    for row, taken in zip(rows, parsed.to_pylist(), strict=True):
        extra = json.loads(taken["extra"] or "{}")
        assert extra == {field: value for field, value in row.items() if field not in declared}
        for field, name in declared.items():
            if row.get(field) not in (None, "", [], {}):
                assert taken[name] is not None, f"{field}={row[field]!r} is lost"


def test_every_list_method_of_the_source_has_a_documented_body() -> None:
    assert {
        table.method for table in TABLES.values() if not list(BODIES.glob(f"{table.method}*.json"))
    } == NO_SAMPLE


def test_rows_inside_a_documented_batch_are_read_too() -> None:
    results = json.loads((BODIES / "batch.json").read_text(encoding="utf-8"))["result"]["result"]
    users, refused = parse(USERS, results["get_user"])
    departments, _ = parse(DEPARTMENTS, *results["get_department"])
    assert refused == []
    assert users["active"][0].as_py() is True
    # Printed without an offset: the portal's.
    assert users["last_activity_date"][0].as_py() == dt.datetime(2024, 8, 29, 7, 30, 11, tzinfo=UTC)
    assert departments["sort"].to_pylist() == [500]


def test_documented_values_arrive_as_they_were_printed() -> None:
    deals, _ = parse(DEALS, *documented_rows("crm.deal.list.json"))
    first = deals.to_pylist()[0]
    assert first["id"] == 37
    assert first["category_id"] == 1
    assert first["opportunity"] == Decimal("19999.99")
    assert first["is_manual_opportunity"] is True
    assert first["date_create"] == dt.datetime(2024, 9, 2, 16, 37, 18, tzinfo=UTC)

    calls, _ = parse(CALLS, *documented_rows("voximplant.statistic.get.json"))
    assert calls["call_failed_code"][0].as_py() == "603-S"
    assert calls["call_duration"].to_pylist()[:2] == [0, 95]
    assert calls["call_start_date"][0].as_py() == dt.datetime(2025, 8, 6, 13, 8, 40, tzinfo=UTC)

    categories, _ = parse(CATEGORIES, *documented_rows("crm.category.list.json"))
    assert categories["is_default"].to_pylist() == [False, False, False, True]


# Spellings


@pytest.mark.parametrize("written", [7, "7", 7.0, " 7 ", "007"])
def test_an_id_may_be_a_string_or_an_integer(written: Any) -> None:
    assert deal(ID=written)["id"] == 7


def test_ids_of_both_spellings_in_one_answer_are_the_same_column() -> None:
    parsed, _ = parse(STAGE_HISTORY, *(
        {"ID": number, "OWNER_ID": owner, "CREATED_TIME": "2026-01-01T00:00:00Z", "STAGE_ID": "N"}
        for number, owner in ((1, "5"), ("2", 5))
    ))  # fmt: skip
    assert parsed["id"].to_pylist() == [1, 2]
    assert parsed["owner_id"].to_pylist() == [5, 5]


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
def test_nothing_is_null_in_every_kind_of_column(nothing: Any) -> None:
    row = deal(CONTACT_ID=nothing, OPPORTUNITY=nothing, CLOSED=nothing, MOVED_TIME=nothing)
    assert (row["contact_id"], row["opportunity"], row["closed"], row["moved_time"]) == (
        None,
        None,
        None,
        None,
    )


def test_an_absent_field_is_null() -> None:
    assert deal()["contact_id"] is None


@pytest.mark.parametrize("nothing", [None, [], {}], ids=repr)
def test_nothing_is_null_in_a_text_and_an_empty_text_stays(nothing: Any) -> None:
    assert deal(TITLE=nothing)["title"] is None
    assert deal(TITLE="")["title"] == ""


@pytest.mark.parametrize("zero", ["0", 0])
def test_zero_is_no_date_but_a_number(zero: Any) -> None:
    row = deal(MOVED_TIME=zero, COMPANY_ID=zero, OPPORTUNITY=zero)
    assert row["moved_time"] is None
    assert row["company_id"] == 0
    assert row["opportunity"] == 0


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Y", True), ("N", False), ("y", True), (True, True), (False, False), ("1", True),
        ("0", False), (1, True), (0, False), ("true", True), ("FALSE", False),
    ],
)  # fmt: skip
def test_flags_have_many_spellings(written: Any, expected: bool) -> None:
    assert deal(CLOSED=written)["closed"] is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("15000.00", "15000.0000"),
        ("0.00005", "0.0000"),
        (15000, "15000"),
        (0.1, "0.1"),
        ("-3.5", "-3.5"),
        ("1e3", "1000"),
        ("9999999999999999.9999", "9999999999999999.9999"),
    ],
)
def test_decimals_are_exact_to_four_places(written: Any, expected: str) -> None:
    assert deal(OPPORTUNITY=written)["opportunity"] == Decimal(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-01T10:00:00+03:00", dt.datetime(2026, 1, 1, 7, tzinfo=UTC)),
        ("2026-01-01T10:00:00-05:00", dt.datetime(2026, 1, 1, 15, tzinfo=UTC)),
        ("2026-01-01T10:00:00Z", dt.datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("2026-01-01T10:00:00.123456+00:00", dt.datetime(2026, 1, 1, 10, 0, 0, 123456, UTC)),
        ("2026-01-01 10:00:00", dt.datetime(2026, 1, 1, 7, tzinfo=UTC)),
        ("2026-01-01", dt.datetime(2025, 12, 31, 21, tzinfo=UTC)),
        ("24.08.2023 13:19:39", dt.datetime(2023, 8, 24, 10, 19, 39, tzinfo=UTC)),
        ("9999-12-31T23:59:59+00:00", dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31 23:59:59", dt.datetime(9999, 12, 31, 20, 59, 59, tzinfo=UTC)),
        ("1969-12-31T23:59:59+00:00", dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_dates_are_instants_and_naive_ones_have_the_portals_offset(
    written: str, expected: dt.datetime
) -> None:
    assert deal(CLOSEDATE=written)["closedate"] == expected


def test_the_end_of_time_west_of_greenwich_does_not_stop_a_load() -> None:
    parsed, quarantined = parse(ACTIVITIES, {"ID": 1, "DEADLINE": "9999-12-31T23:59:59-05:00"})
    assert quarantined == []
    epoch = dt.datetime(1970, 1, 1, tzinfo=UTC)
    last = (dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - epoch) // dt.timedelta(seconds=1)
    stored = parsed["deadline"].cast(pa.int64())[0].as_py()
    assert stored == (last + 5 * 3600) * 1_000_000


def test_a_naive_date_without_a_known_portal_zone_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="has no offset"):
        parse_instant("2026-01-01 10:00:00")


def test_lists_and_maps_are_kept_as_json() -> None:
    phones = [{"VALUE": "+7 900", "VALUE_TYPE": "WORK"}]
    parsed, _ = parse(CONTACTS, {"ID": 1, "NAME": "Иван", "PHONE": phones, "EMAIL": []})
    row = parsed.to_pylist()[0]
    assert json.loads(row["phone"]) == phones
    assert json.loads(row["email"]) == []
    assert row["name"] == "Иван"


def test_a_number_in_a_text_column_is_its_text() -> None:
    assert deal(ORIGIN_ID=15)["origin_id"] == "15"


def test_unknown_fields_land_in_extra_untouched() -> None:
    unknown = {"UF_CRM_1": "Окна", "PARENT_ID_128": None, "NEW_MAP": {"a": [1, "b"]}, "x": 1.5}
    assert json.loads(deal(**unknown)["extra"]) == unknown
    assert deal()["extra"] is None


def test_extra_is_printed_with_the_fields_in_the_order_of_the_row() -> None:
    row = {"UF_100%": '"Окна"\n', **DEAL, "UF_2": None, "UF_1": True, "UF_3": [1, {"a": 2.5}]}
    parsed, _ = parse(DEALS, row, DEAL, {"UF_9": 7, **row})
    printed = """"UF_100%": "\\"Окна\\"\\n", "UF_2": null, "UF_1": true, "UF_3": [1, {"a": 2.5}]}"""
    assert parsed["extra"].to_pylist() == ["{" + printed, None, '{"UF_9": 7, ' + printed]


def test_a_dotted_field_is_looked_up_in_the_maps_of_the_row() -> None:
    parsed, quarantined = parse(
        CHANGES,
        {
            "id": 1,
            "value": {"from": "a", "to": "2026-01-01T10:00:00+03:00", "other": 1},
            "user": {"id": "7", "lead": {"isHead": "Y"}},
            "new": {"x": 1},
            "value.from": "a key with a dot",
        },
        {"id": "2", "value": None, "user": {"id": 8, "lead": "nobody"}},
        {"id": "3", "value": [], "user": {"id": 9}},
    )
    assert quarantined == []
    assert parsed["value_from"].to_pylist() == ["a", None, None]
    assert parsed["value_to"].to_pylist() == [dt.datetime(2026, 1, 1, 7, tzinfo=UTC), None, None]
    assert parsed["user_id"].to_pylist() == [7, 8, 9]
    assert parsed["lead"].to_pylist() == [True, None, None]
    assert [json.loads(extra) if extra else None for extra in parsed["extra"].to_pylist()] == [
        {"new": {"x": 1}, "value.from": "a key with a dot"},
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user": None}, "user.id: is missing"),
        ({"user": "7"}, "user.id: is missing"),
        ({"user": {"id": "x"}}, "user.id: 'x' is not a whole number"),
        ({"value": {"to": "soon"}}, "value.to: 'soon' is not a date"),
    ],
)
def test_the_reason_names_a_dotted_field_by_its_path(fields: dict[str, Any], expected: str) -> None:
    assert reason(CHANGES, {"id": 1, "user": {"id": 7}, **fields}) == expected


@pytest.mark.parametrize("field", ["ID", "id"])
def test_a_quarantined_row_keeps_its_id_in_either_spelling(field: str) -> None:
    table = RawTable(
        "rows",
        "no.such.method",
        (Column("id", field, "integer", is_required=True), Column("sort", "sort", "integer")),
    )
    _, quarantined = parse(table, {field: "7", "sort": "x"}, {field: "y", "sort": 1})
    assert [row.record_id for row in quarantined] == [7, None]


def test_the_first_declared_field_that_cannot_be_read_is_the_reason() -> None:
    rows = [
        {**DEAL, "ID": "1", "CLOSED": "maybe", "DATE_CREATE": None},
        {**DEAL, "ID": "2"},
        {**DEAL, "ID": "x", "OPPORTUNITY": "x", "CLOSED": "maybe"},
        {**DEAL, "ID": "4", "LAST_ACTIVITY_BY": "x", "OPPORTUNITY": "x"},
    ]
    parsed, quarantined = parse(DEALS, *rows)
    assert parsed["id"].to_pylist() == [2]
    assert [row.reason.partition(":")[0] for row in quarantined] == ["CLOSED", "ID", "OPPORTUNITY"]
    assert [json.loads(row.payload) for row in quarantined] == [rows[0], rows[2], rows[3]]


def test_every_row_says_whose_it_is_and_when_it_was_received() -> None:
    row = deal()
    assert row["source_key"] == "bitrix24:main"
    assert row["received_at"] == RECEIVED_AT


def test_values_of_json_stay_apart_whatever_they_hold() -> None:
    table = RawTable(
        "things",
        "no.such.method",
        (
            Column("id", "id", "integer", is_required=True),
            Column("first", "first", "json"),
            Column("second", "some.second", "json"),
        ),
    )
    values: list[Any] = [
        *(None, "null", ",\n,", "\n", [",\n,", None], {"\n,": ",\n"}, [], {}, "", 0, False, 1.5),
        *([[]], {"a": [{"b": "ё\\"}]}, ",", '"'),
    ]
    rows = [
        {"id": number, "first": value, "some": {"second": values[-number]}}
        for number, value in enumerate(values)
    ]
    parsed, quarantined = parse_rows(table, rows, "bitrix24:main", RECEIVED_AT)
    read = [
        [None if text is None else json.loads(text) for text in parsed.column(name).to_pylist()]
        for name in ("first", "second")
    ]
    assert quarantined == []
    assert read == [values, [values[-number] for number in range(len(values))]]
    assert parsed.column("first").null_count == parsed.column("second").null_count == 1


def test_no_rows_are_an_empty_table_of_the_declared_schema() -> None:
    for table in TABLES.values():
        parsed, quarantined = parse(table)
        assert (parsed.num_rows, quarantined) == (0, [])


# Rubbish


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ID": "abc"}, "ID: 'abc' is not a whole number"),
        ({"ID": "1.5"}, "ID: '1.5' is not a whole number"),
        ({"ID": 1.5}, "ID: 1.5 is not a whole number"),
        ({"ID": "1_0"}, "ID: '1_0' is not a whole number"),
        ({"ID": True}, "ID: True is not a whole number"),
        ({"ID": [1]}, "ID: [1] is not a whole number"),
        ({"ID": 2**63}, "ID: 9223372036854775808 is too large"),
        ({"ID": str(-(2**63) - 1)}, "ID: '-9223372036854775809' is too large"),
        ({"ID": "9" * 5000}, "ID: "),
        ({"ID": 1e300}, "ID: 1e+300 is not a whole number"),
        ({"ID": None}, "ID: is missing"),
        ({"ID": ""}, "ID: is missing"),
        ({"STAGE_ID": None}, "STAGE_ID: is missing"),
        ({"DATE_CREATE": {}}, "DATE_CREATE: is missing"),
        ({"DATE_CREATE": "0"}, "DATE_CREATE: is missing"),
        ({"DATE_MODIFY": "soon"}, "DATE_MODIFY: 'soon' is not a date"),
        ({"DATE_MODIFY": "2026-02-30"}, "DATE_MODIFY: '2026-02-30' is not a date"),
        ({"DATE_MODIFY": "0000-00-00 00:00:00"}, "DATE_MODIFY: '0000-00-00 00:00:00'"),
        ({"DATE_MODIFY": 1767225600}, "DATE_MODIFY: 1767225600 is not a date"),
        ({"DATE_MODIFY": "1712110100000"}, "DATE_MODIFY: '1712110100000' is not a date"),
        ({"DATE_MODIFY": {"date": "2026"}}, "DATE_MODIFY: {'date': '2026'} is not a date"),
        ({"CLOSED": "maybe"}, "CLOSED: 'maybe' is neither Y nor N"),
        ({"CLOSED": 2}, "CLOSED: 2 is neither Y nor N"),
        ({"OPPORTUNITY": "1 000,50"}, "OPPORTUNITY: '1 000,50' is not a number"),
        ({"OPPORTUNITY": "1_000"}, "OPPORTUNITY: '1_000' is not a number"),
        ({"OPPORTUNITY": "100|RUB"}, "OPPORTUNITY: '100|RUB' is not a number"),
        ({"OPPORTUNITY": [5]}, "OPPORTUNITY: [5] is not a number"),
        ({"OPPORTUNITY": True}, "OPPORTUNITY: True is not a number"),
        ({"OPPORTUNITY": "Infinity"}, "OPPORTUNITY: 'Infinity' is not a number that raw can hold"),
        ({"OPPORTUNITY": "1e16"}, "OPPORTUNITY: '1e16' is not a number that raw can hold"),
        ({"OPPORTUNITY": "1e999999"}, "OPPORTUNITY: '1e999999' is not a number that raw"),
        ({"OPPORTUNITY": "9999999999999999.99999"}, "OPPORTUNITY: '9999999999999999.99999' is not"),
        ({"TITLE": "half \ud83d"}, "TITLE: is not valid Unicode"),
        ({"UF_CRM_1": ["half \ud83d"]}, "UF_CRM_1: is not valid Unicode"),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, dict) else "",
)  # fmt: skip
def test_rubbish_goes_to_the_quarantine_with_the_field_in_its_reason(
    fields: dict[str, Any], expected: str
) -> None:
    assert reason(DEALS, {**DEAL, **fields}).startswith(expected)


@pytest.mark.parametrize("row", [None, "text", 5, [], ["ID", 1]], ids=repr)
def test_a_row_that_is_no_object_goes_to_the_quarantine(row: Any) -> None:
    assert reason(DEALS, row) == "the row is not an object"


@pytest.mark.parametrize("rubbish", [{"ID": "x"}, {"TITLE": "half \ud83d"}], ids=repr)
def test_good_neighbours_of_a_bad_row_are_kept_in_order(rubbish: dict[str, Any]) -> None:
    rows = [{**DEAL, "ID": 1}, {**DEAL, "ID": 2, **rubbish}, {**DEAL, "ID": 3, "TITLE": "three"}]
    parsed, quarantined = parse(DEALS, *rows)
    assert parsed["id"].to_pylist() == [1, 3]
    assert parsed["title"].to_pylist() == [None, "three"]
    assert len(quarantined) == 1


def test_a_bad_row_with_half_a_character_can_still_be_written() -> None:
    _, quarantined = parse(DEALS, {**DEAL, "ID": "x", "TITLE": "half \ud83d"})
    assert quarantined[0].payload.encode()


def test_largest_integers_are_kept_exactly() -> None:
    assert deal(ID=str(2**63 - 1))["id"] == 2**63 - 1
    assert deal(CONTACT_ID=-(2**63))["contact_id"] == -(2**63)


@pytest.mark.parametrize(
    ("table", "row", "field"),
    [
        (STAGE_HISTORY, {"ID": 1, "CREATED_TIME": "2026-01-01", "STAGE_ID": "N"}, "OWNER_ID"),
        (STAGE_HISTORY, {"ID": 1, "OWNER_ID": 1, "STAGE_ID": "N"}, "CREATED_TIME"),
        (CALLS, {"ID": 1}, "CALL_START_DATE"),
        (STATUSES, {"ID": 1, "STATUS_ID": "NEW"}, "ENTITY_ID"),
        (CATEGORIES, {"name": "Общая"}, "id"),
    ],
)
def test_a_row_without_a_required_field_goes_to_the_quarantine(
    table: RawTable, row: dict[str, Any], field: str
) -> None:
    assert reason(table, row) == f"{field}: is missing"
