"""Whole blocks are read as row by row: same table, same quarantine, whatever the portal prints."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pytest

from sources import parsing
from sources.bitrix24.tables import TABLES
from sources.parsing import QuarantinedRow, parse_rows
from sources.raw_tables import Column, Kind, RawTable

PORTAL = dt.timezone(dt.timedelta(hours=3))
RECEIVED_AT = dt.datetime(2026, 3, 1, 12, tzinfo=PORTAL)
KINDS: tuple[Kind, ...] = ("integer", "text", "instant", "seconds", "flag", "decimal", "json")
NESTED = RawTable(
    "nested",
    "no.such.method",
    (
        Column("id", "id", "integer", is_required=True),
        *(Column(f"plain_{kind}", f"plain_{kind}", kind) for kind in KINDS),
        *(Column(f"needed_{kind}", f"needed.{kind}", kind, is_required=True) for kind in KINDS),
        *(Column(f"deep_{kind}", f"value.deep.{kind}", kind) for kind in KINDS),
    ),
)
ONE_KIND: dict[Kind, RawTable] = {
    kind: RawTable(kind, "no.such.method", (NESTED.columns[0], Column(kind, kind, kind)))
    for kind in KINDS
}

# Every spelling that the readers know, and what only looks like one.
ODD: dict[Kind, list[Any]] = {
    "integer": [
        None, "", [], {}, 0, 7, -7, "7", "007", "-0", " 7 ", "+7", "7\n", 7.0, 0.0, -0.0,
        2**63 - 1, -(2**63), str(2**63 - 1), str(-(2**63)), "٣", "１２", "0" * 30 + "5",
    ],
    "text": [None, "", [], {}, "Окна", "0", 15, 1.5, True, ["a"], {"a": None}, 2**70, "\x00", "😀"],
    "instant": [
        None, "", "0", 0, [], {}, 0.0, False, "2026-01-01T10:00:00Z", "2026-01-01 10:00:00",
        "2026-01-01", "24.08.2023 13:19:39", "2026-01-01T10:00:00.5+00:00", "2026-W01-1",
        "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+03:00", "1969-12-31T23:59:59+00:00",
        "2026-01-01T10:00:00+19:59", "2026-01-01T10:00:00+23:59", "2026-01-01T10:00:00-00:00",
        "2026-01-01t10:00:00+03:00", "2026-01-01 10:00:00+03:00", "20260101T100000+03:00",
        "2026-01-01T10:00+03:00", "2024-02-29T00:00:00+03:00", "0999-12-31T00:00:00+00:00",
        "2026-01-01T10:00:00+03:60", "2026-01-01T10:00:00+03:00:30",
    ],
    "flag": [
        None, "", [], {}, "Y", "N", "y", "n", True, False, 0, 1, "0", "1", "true", "FALSE",
    ],
    "decimal": [
        None, "", [], {}, 0, 5, -3, 0.1, 15000.5, 1e15, 1e-7, "0.00005", "-3.5", "1e3", "+1.5",
        "1.", ".5", "-0", "-0.0", "007.50", " 1.5 ", "9999999999999999.9999", "1.23456", "٣.٥",
        "12345678901234567890.5e-10",
    ],
    "seconds": [None, "", [], {}, 0, "0", 1, "1767225600", " 1767225600", 253_402_300_799],
    "json": [None, "", [], {}, "Y", 1, 1.5, True, [1, "б"], {"a": {"b": None}}, "\"\\\n"],
}  # fmt: skip
BROKEN: dict[Kind, list[Any]] = {
    "integer": [
        "abc", "1.5", 1.5, True, False, [1], {"a": 1}, "1_0", 2**63, str(2**63), "0x1F", "0XA",
        "1e3", "--1", "1-", "-", 1e300, "1,000", "1 0", "½", "²",
    ],
    "text": [],
    "seconds": [-1, "-1", 253_402_300_800, 2**63, "soon", True, False, 1.5, [1], {"a": 1}, "1_0"],
    "instant": [
        "soon", "2026-02-30T00:00:00+03:00", "2026-01-01T24:00:00+03:00", 1767225600, True, [0],
        "2026-01-01T10:00:60+03:00", "2026-01-01T10:60:00+03:00", "2026-13-01T10:00:00+03:00",
        "2026-00-01T10:00:00+03:00", "2026-01-00T10:00:00+03:00", "0000-01-01T00:00:00+00:00",
        "2026-01-01T10:00:00+24:00", "2026-01-01T10:00:00,03:00", "2026-01-01T10:00:00+0300x",
        "12026-01-01T10:00:00+3:00", " 2026-01-01T10:00:00+3:00", "２026-01-01T10:00:00+3:00",
        "1712110100000", "20260101", "2023-02-29T00:00:00+00:00", "2026-01-01T25:00:00+03:00",
        {"date": "2026"}, 1.5, "2026-01-01T10:00:00+03:00 ", "2026/01/01T10:00:00+03:00", "00",
    ],
    "flag": ["maybe", 2, -1, 1.0, "да", ["Y"], {"a": "Y"}, " Y", "Y ", "YES", "2", "Ｙ"],
    "decimal": [
        "1 000,50", "1_000", "100|RUB", [5], {"a": 5}, True, "Infinity", "NaN", "1e16", 1e16,
        "1e999999", "9999999999999999.99999", "1.2.3", "-", ".", "--1", "0x1F", 10**16, "sNaN",
    ],
    "json": [],
}  # fmt: skip
UNDECLARED = [None, "", "Окна", "%s %", '"\\\n\u2028\x7f', 5, -1, 2**70, True, False, 1.5, 1e16,
              [], {}, ["1", 2], {"a": [None, {"б": True}]}]  # fmt: skip


def canonical(kind: Kind, choice: random.Random) -> Any:
    """What almost every row of a portal holds."""
    if kind == "integer":
        return str(choice.choice([1, -1]) * choice.randrange(10 ** choice.randrange(1, 19)))
    if kind == "seconds":
        return choice.randrange(1, 253_402_300_800)
    if kind == "instant":
        moment = dt.datetime(1000, 1, 1) + dt.timedelta(seconds=choice.randrange(283_900_000_000))
        zone = f"{choice.choice('+-')}{choice.randrange(20):02}:{choice.randrange(60):02}"
        return moment.isoformat() + zone
    if kind == "flag":
        return choice.choice("YN")
    if kind == "decimal":
        whole = choice.choice(["", "-"]) + str(choice.randrange(10 ** choice.randrange(1, 16)))
        places = choice.randrange(5)
        return f"{whole}.{choice.randrange(10**places):0{places}}" if places else whole
    return choice.choice(["NEW", "C1:WON", "Окна 45 м²", "", "x" * 300])


def native(kind: Kind, choice: random.Random) -> Any:
    """As newer methods print: numbers and booleans of JSON."""
    if kind == "integer":
        return choice.randrange(-(10**12), 10**12)
    if kind == "flag":
        return choice.random() < 0.5
    if kind == "decimal":
        return choice.choice([choice.randrange(10**9), round(choice.random() * 10**6, 4)])
    return canonical(kind, choice)


Make = Callable[[Kind, random.Random], Any]
STYLES: list[Make] = [
    canonical,
    lambda kind, choice: canonical(kind, choice) if choice.random() < 0.6 else None,
    lambda kind, choice: canonical(kind, choice) if choice.random() < 0.6 else "",
    lambda kind, choice: choice.choice([canonical(kind, choice), None, "", "0"]),
    lambda kind, choice: choice.choice([None, "", [], {}]),
    lambda kind, choice: None,
    native,
    lambda kind, choice: choice.choice([native, canonical])(kind, choice),
    lambda kind, choice: native(kind, choice) if choice.random() < 0.6 else None,
    lambda kind, choice: choice.choice(ODD[kind]),
    lambda kind, choice: (
        choice.choice(ODD[kind]) if choice.random() < 0.01 else canonical(kind, choice)
    ),
    lambda kind, choice: (
        choice.choice(BROKEN[kind] or ODD[kind])
        if choice.random() < 0.01
        else canonical(kind, choice)
    ),
]
"""How one column looks in one block; required columns take the last two forms more often."""


def put(row: dict[str, Any], field: str, value: Any) -> None:
    *steps, last = field.split(".")
    for step in steps:
        row = row.setdefault(step, {})
    row[last] = value


def blocks(table: RawTable, choice: random.Random, count: int) -> Iterator[list[Any]]:
    """Blocks whose columns differ in style, from all canonical to mostly broken."""
    for number in range(count):
        styles = {
            column.field: canonical
            if number % 4 == 0
            else choice.choice(STYLES[-2:] if column.is_required else STYLES)
            for column in table.columns
        }
        undeclared = [f"UF_CRM_{index}%" for index in range(choice.randrange(4))]
        drops, shuffles = choice.random() < 0.3, choice.random() < 0.2
        rows: list[Any] = []
        for _ in range(choice.choice([1, 2, 50, 300])):
            row: dict[str, Any] = {}
            for column in table.columns:
                if not (drops and choice.random() < 0.02):
                    put(row, column.field, styles[column.field](column.kind, choice))
            for field in undeclared:
                if not (drops and choice.random() < 0.1):
                    row[field] = choice.choice(UNDECLARED)
            if drops and choice.random() < 0.05 and table is NESTED:
                row[choice.choice(["needed", "value"])] = choice.choice([None, "", [], "x", 5, {}])
            if shuffles:
                row = dict(choice.sample(list(row.items()), len(row)))
            rows.append(row)
        if number % 10 == 9:
            rows[choice.randrange(len(rows))] = choice.choice([None, "x", 5, [], {}, ["ID", 1]])
        if number % 10 == 8:
            spoilt = choice.choice(rows)
            spoilt[choice.choice(list(spoilt) or ["x"])] = choice.choice(["\ud83d", ["\ud83d"]])
        yield rows


def compare(table: RawTable, rows: list[Any]) -> tuple[pa.Table, list[QuarantinedRow]]:
    expected, expected_refused = parsing._parse_rows_one_by_one(
        table, rows, "bitrix24:main", RECEIVED_AT
    )
    parsed, refused = parse_rows(table, rows, "bitrix24:main", RECEIVED_AT)
    parsed.validate(full=True)
    assert parsed.schema == table.schema
    assert refused == expected_refused
    for name in parsed.column_names:
        if not parsed[name].equals(expected[name]):
            pairs = zip(parsed[name].to_pylist(), expected[name].to_pylist(), strict=True)
            pytest.fail(f"{name}: {[pair for pair in pairs if pair[0] != pair[1]][:5]}")
    return parsed, refused


@pytest.fixture
def every_block_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_BLOCK_ROWS", 1)


@pytest.mark.usefixtures("every_block_is_read_whole")
@pytest.mark.parametrize(
    "table",
    [
        NESTED,
        *(
            TABLES[name]
            for name in ("deals", "contacts", "users", "calls", "activities", "categories")
        ),
    ],
    ids=lambda table: table.name,
)
def test_a_block_is_read_as_its_rows_one_by_one(table: RawTable) -> None:
    choice = random.Random(f"{table.name} 1")
    accepted = rejected = 0
    for rows in blocks(table, choice, 30):
        parsed, refused = compare(table, rows)
        accepted += parsed.num_rows
        rejected += len(refused)
    # The comparison says something only if both outcomes occur often.
    assert accepted > 500
    assert rejected > 30


@pytest.mark.usefixtures("every_block_is_read_whole")
@pytest.mark.parametrize("kind", KINDS)
def test_every_known_spelling_alone_and_among_canonical_values(kind: Kind) -> None:
    choice = random.Random(2)
    rows = [{"id": "1", kind: canonical(kind, choice)} for _ in range(3)]
    for values, is_refused in ((ODD[kind], False), (BROKEN[kind], True)):
        for value in values:
            row = {"id": "1", kind: value}
            assert bool(compare(ONE_KIND[kind], [row])[1]) == is_refused, value
            compare(ONE_KIND[kind], [*rows, row, *rows])


@pytest.mark.usefixtures("every_block_is_read_whole")
def test_a_date_with_any_character_exchanged_is_read_alike() -> None:
    good = "2026-06-30T18:00:00+03:00"
    for position in range(len(good)):
        for character in "0123456789+-,./: TZtx\x00٣":
            date = good[:position] + character + good[position + 1 :]
            compare(ONE_KIND["instant"], [{"id": 1, "instant": date}])


@pytest.mark.usefixtures("every_block_is_read_whole")
@pytest.mark.parametrize(
    ("kind", "alphabet"),
    [
        ("integer", "0019-+ _xX.e/٣\n"),
        ("decimal", "0019-+ _xX..eE/٣\n"),
        ("flag", "YNyn01 \n"),
    ],
)
def test_short_texts_are_read_alike(kind: Kind, alphabet: str) -> None:
    choice = random.Random(3)
    for _ in range(500):
        text = "".join(choice.choices(alphabet, k=choice.randrange(1, 6)))
        compare(ONE_KIND[kind], [{"id": 1, kind: text}])


@pytest.mark.usefixtures("every_block_is_read_whole")
@pytest.mark.parametrize("kind", ["integer", "decimal"])
def test_long_numbers_are_read_alike(kind: Kind) -> None:
    choice = random.Random(4)
    for _ in range(500):
        digits = "".join(choice.choices("0123456789", k=choice.randrange(14, 24)))
        point = choice.randrange(len(digits))
        text = f"{digits[:point]}.{digits[point:]}" if choice.random() < 0.5 else digits
        compare(ONE_KIND[kind], [{"id": 1, kind: choice.choice(["", "-"]) + text}])


def test_blocks_of_canonical_rows_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = random.Random(5)
    deals = TABLES["deals"]
    rows = [
        {column.field: canonical(column.kind, choice) for column in deals.columns}
        | {"UF_CRM_1": "Окна", "UF_CRM_2": None}
        for _ in range(parsing._BLOCK_ROWS)
    ]
    rows[0] |= {"COMPANY_ID": "", "MOVED_TIME": "0", "CLOSED": None}

    def slow(*arguments: Any) -> Any:
        raise AssertionError(f"{arguments[0]!r} is read by itself")

    monkeypatch.setattr(parsing, "_parse_rows_one_by_one", slow)
    monkeypatch.setattr(parsing, "_reader", slow)
    parsed, refused = parse_rows(deals, rows, "bitrix24:main", RECEIVED_AT)
    assert (parsed.num_rows, refused) == (len(rows), [])
    assert json.loads(parsed["extra"][0].as_py()) == {"UF_CRM_1": "Окна", "UF_CRM_2": None}


def test_what_orjson_reads_is_kept_in_extra_as_json_prints_it() -> None:
    rows = orjson.loads(
        orjson.dumps([{"id": 1, "б%": value, "x": 1} for value in UNDECLARED if value != 2**70])
    )
    rows *= parsing._BLOCK_ROWS
    parsed, _ = compare(ONE_KIND["text"], rows)
    assert parsed["extra"].to_pylist() == [
        json.dumps({"б%": row["б%"], "x": 1}, ensure_ascii=False) for row in rows
    ]
