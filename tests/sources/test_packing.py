"""Pages read straight into columns equal rows that are parsed one by one, or are not read so."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from sources.amocrm.lists import COMPANIES, LEADS, NOTES, TASKS, AmoList
from sources.packing import PackedRows, PageForm, unpack
from sources.parsing import parse_rows
from sources.raw_tables import Column, Kind, RawTable
from sources.web import read_json

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
SOURCE = "amocrm:shop"
LISTS = (LEADS, COMPANIES, TASKS, NOTES[0])

# Values as they are printed: what a column of the kind mostly has, and what it may have.
PLAIN: dict[Kind, list[bytes]] = {
    "integer": [b"7", b"-3", b"9223372036854775807", b"142"],
    "seconds": [b"1771252860", b"1", b"4294967295"],
    "decimal": [b"0", b"15000", b"-7", b"9999999999999999"],
    "flag": [b"true", b"false"],
    "text": ['"Окна 45 м²"'.encode(), b'""', rb'"\u041e\u043a\u043d\u0430 \/ \"\ud83d\ude00\""'],
    "json": [
        b"[]",
        b'[{"field_id":501,"values":[{"value":"x","enum_id":null}]}]',
        rb'[ { "a" : "\u041e\/\n\u001f" , "b" : [1 , -0, 1.50, 1e3, 1E-7] } ]',
        '{"б":"\u2028\x7f😀","c":{"d":{}}}'.encode(),
        b'{"a":1,"b":{"c":1,"c":2},"a":[3]}',
        b"[100000000000000000000000,-9223372036854775809,0.1,123456789.123456789]",
        b'"text"',
        b"5",
    ],
}
ODD = [
    *(b"null", b'""', b"[]", b"{}", b"0", b"-0", b"1.0", b"1.5", b"1e3", b"true", b'"7"', b'"x"'),
    *(b"9223372036854775808", b"-9223372036854775809", b"-1", b"4294967296", b"253402300800"),
    *(b"10000000000000000", b"100000000000000000000000", b"1e400", b"-1e400", b"0.1"),
    *(rb'"\u0000"', rb'"\ud800"', rb'["\udc00"]', rb'{"\ud800":1}', rb'"\ud83d\ude00"', b'"%s"'),
    *(b'{"a":1,"a":2}', b"[1,[{}]]", b'"Y"', b'"2026-01-01"', b'[{"x":NaN}]', b"NaN", b"01", b"+1"),
    *(b'"\x01"', b'["\x1f"]', b'"\xff"', b'["\xc3"]', b'{"\xff":1}', b'"\xed\xa0\x80"', rb'"\q"'),
    *(b"[1,]", b'{"a":}', b"", b'"', b"Infinity", b"[1e400]", b"tru"),
]


def printed(
    fields: Sequence[tuple[str, bytes]], choice: random.Random, *, spaced: bool = False
) -> bytes:
    """A map as its pairs say, a key twice where they do."""
    space = choice.choice([b" ", b"\n\t"]) if spaced else b""
    pairs = [json.dumps(name).encode() + b":" + space + value for name, value in fields]
    return b"{" + space + (b"," + space).join(pairs) + b"}"


def put(fields: list[tuple[str, bytes]], name: str, value: bytes) -> None:
    """Give a field another value, or add it."""
    for place, (other, _) in enumerate(fields):
        if other == name:
            fields[place] = name, value
            return
    fields.append((name, value))


def value_of(column: Column, choice: random.Random, *, odd: float) -> bytes:
    if choice.random() < odd:
        return choice.choice(ODD)
    if not column.is_required and choice.random() < 0.3:
        return b"null"
    return choice.choice(PLAIN[column.kind])


def row_of(listed: AmoList, number: int, choice: random.Random, odd: float) -> bytes:
    fields: list[tuple[str, bytes]] = []
    embedded: list[tuple[str, bytes]] = []
    for column in listed.table.columns:
        way, _, name = column.field.rpartition(".")
        if choice.random() < odd / 4:
            continue
        value = value_of(column, choice, odd=odd / 4)
        if column.field == "id":
            value = choice.choice(ODD) if choice.random() < odd / 4 else str(number).encode()
        (embedded if way else fields).append((name, value))
    fields.append(("account_id", choice.choice(ODD) if choice.random() < odd / 2 else b"31"))
    if embedded:
        if choice.random() < odd / 2:
            put(embedded, choice.choice(["tags", "new"]), choice.choice(ODD))
        if choice.random() < odd / 4:
            embedded.append(choice.choice(embedded))
        map_ = printed(embedded, choice, spaced=choice.random() < odd)
        fields.append(("_embedded", choice.choice(ODD) if choice.random() < odd / 4 else map_))
    if choice.random() < odd / 4:
        name, value = choice.choice(fields)
        fields.append((name, choice.choice([value, choice.choice(ODD)])))
    if choice.random() < odd / 6:
        fields.append((choice.choice(["new", "_links", "%s", "имя", "f0"]), choice.choice(ODD)))
    if choice.random() < odd:
        choice.shuffle(fields)
    return printed(fields, choice, spaced=choice.random() < odd)


def page_of(listed: AmoList, choice: random.Random, odd: float) -> bytes:
    count = choice.choice([1, 2, 3, 40])
    rows = [row_of(listed, number, choice, odd) for number in range(1, count + 1)]
    if choice.random() < odd / 4:
        rows.insert(choice.randrange(len(rows) + 1), choice.choice(ODD))
    name = listed.path.rpartition("/")[2]
    links = choice.choice([b'{"self":{"href":"x"}}', b'{"self":{},"next":{"href":"y"}}'])
    envelope = [
        ("_page", b"1"),
        ("_links", choice.choice(ODD) if choice.random() < odd / 8 else links),
        ("_embedded", printed([(name, b"[" + b",".join(rows) + b"]")], choice)),
    ]
    return printed(envelope, choice)


def learnt(listed: AmoList) -> PageForm:
    name = listed.path.rpartition("/")[2]
    form = PageForm(listed.table, name, listed.constants)
    fields = [(column.field, b"1") for column in listed.table.columns if "." not in column.field]
    form.learn([json.loads(printed([*fields, ("account_id", b"1")], random.Random(1)))])
    return form


def slowly(listed: AmoList, text: bytes) -> tuple[pa.Table, list[Any]]:
    """What becomes of a page whose rows are read and parsed the usual way."""
    rows = read_json(text)["_embedded"][listed.path.rpartition("/")[2]]
    return parse_rows(listed.table, listed.rows(rows), SOURCE, NOW)


def quickly(listed: AmoList, packed: PackedRows) -> pa.Table:
    return unpack(listed.table, [packed], SOURCE)


@pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed.name)
@pytest.mark.parametrize("odd", [0.0, 0.02, 0.3])
def test_a_page_is_read_as_its_rows_are_parsed(listed: AmoList, odd: float) -> None:
    choice = random.Random(f"{listed.name} {odd}")
    form = learnt(listed)
    packed_pages = 0
    for number in range(250):
        text = page_of(listed, choice, odd)
        packed = form.read(text, NOW)
        if packed is None:
            assert odd, f"page {number} is plain: {text!r}"
            continue
        packed_pages += 1
        expected, refused = slowly(listed, text)
        found = quickly(listed, packed)
        assert not refused, text
        assert found.schema.equals(expected.schema)
        assert found.to_pylist() == expected.to_pylist(), text
        assert list(packed.ids) == expected.column("id").to_pylist()
        assert packed.has_next == ("next" in read_json(text)["_links"])
    assert packed_pages > (100 if odd < 0.1 else 5)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("field", ["id", "name", "price", "created_at", "closed_at", "is_deleted",
                                   "custom_fields_values", "account_id", "new"])  # fmt: skip
def test_no_odd_value_is_read_in_another_way(field: str, value: bytes) -> None:
    plain = [("id", b"1"), ("status_id", b"142"), ("pipeline_id", b"7"), ("created_at", b"5")]
    row = [*plain, ("account_id", b"31")]
    put(row, field, value)
    choice = random.Random(1)
    rows = [*(printed([*plain, ("account_id", b"31")], choice) for _ in range(40))]
    text = printed(
        [
            ("_links", b"{}"),
            ("_embedded", b'{"leads":[' + b",".join([*rows, printed(row, choice)]) + b"]}"),
        ],
        choice,
    )
    packed = learnt(LEADS).read(text, NOW)
    if packed is not None:
        expected, refused = slowly(LEADS, text)
        assert not refused
        assert quickly(LEADS, packed).to_pylist() == expected.to_pylist()


def lead(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "status_id": 142, "pipeline_id": 7, "created_at": 5, **fields}


def page(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"_links": {}, "_embedded": {"leads": rows}}).encode()


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "status_id": 142, "pipeline_id": 7},
        lead(created_at=0),
        lead(created_at=None),
        lead(id=0),
        lead(price="100"),
        lead(price=10**16),
        lead(is_deleted=1),
        lead(closed_at=2**32),
        lead(name=5),
        lead(created_at=-1),
        lead(x=1),
        lead(_embedded=[]),
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(row: dict[str, Any]) -> None:
    form = PageForm(LEADS.table, "leads", {})
    form.learn([lead()])
    assert form.read(page(lead(price=100, closed_at=0, name="")), NOW) is not None
    assert form.read(page(lead(), row), NOW) is None


def test_nothing_is_read_before_the_rows_are_known() -> None:
    form = PageForm(LEADS.table, "leads", {})
    assert form.read(page(lead()), NOW) is None
    form.learn([lead(one=1, another=2)])
    form.learn([lead(_links={})])
    form.learn([])
    assert form.read(page(lead()), NOW) is None
    form.learn([lead(account_id=31)])
    assert form.read(page(lead(account_id=32)), NOW) is not None
    assert form.read(page(lead(account_id=32), lead()), NOW) is None


def test_a_page_without_rows_or_links_is_left_to_the_parser() -> None:
    form = PageForm(LEADS.table, "leads", {})
    form.learn([lead()])
    assert form.read(page(), NOW) is None
    assert form.read(json.dumps({"_embedded": {"leads": [lead()]}}).encode(), NOW) is None


@pytest.mark.parametrize(
    "columns",
    [
        (Column("created", "created", "instant"),),
        (Column("deep", "a.b.c", "json"),),
        (Column("number", "a.b", "integer"),),
        (Column("a", "a", "json"), Column("b", "a.b", "json")),
    ],
)
def test_tables_of_other_forms_are_left_to_the_parser(columns: tuple[Column, ...]) -> None:
    table = RawTable("other", "other", (Column("id", "id", "integer", is_required=True), *columns))
    form = PageForm(table, "leads", {})
    form.learn([{"id": 1}])
    assert form.read(page({"id": 1}), NOW) is None


def test_pages_of_several_moments_become_one_table() -> None:
    form = PageForm(LEADS.table, "leads", {})
    form.learn([lead()])
    later = NOW + dt.timedelta(seconds=1)
    first, second = form.read(page(lead(), lead(id=2)), NOW), form.read(page(lead(id=3)), later)
    assert first is not None
    assert second is not None
    table = unpack(LEADS.table, [first.only([False, True]), second], SOURCE)
    assert table.column("id").to_pylist() == [2, 3]
    assert table.column("received_at").to_pylist() == [NOW, later]
