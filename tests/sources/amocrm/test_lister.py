"""Pages of a list are parsed together as far as they were received in the same second."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from sources.amocrm import lister
from sources.amocrm.client import Answer
from sources.amocrm.errors import AmoError
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.lister import Lister
from sources.amocrm.lists import LISTS
from sources.connection import Cut, Request, Tally
from sources.packing import PageForm

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
LEADS = next(entity for entity in LISTS if entity.name == "leads")


def page(ids: Iterable[int], second: int = 0, *, holds_links: bool = False) -> Answer:
    rows: list[Any] = [
        {"id": number, "status_id": 1, "pipeline_id": 1, "created_at": 1_700_000_000}
        for number in ids
    ]
    if holds_links:
        rows = [{**row, "_links": {"self": {}}} for row in rows]
    at = NOON + dt.timedelta(seconds=second)
    return Answer({}, rows, has_next=False, server_now=at, holds_links=holds_links)


def read(pages: Iterable[Answer]) -> tuple[Iterator[pa.Table | None], Tally]:
    tally = Tally()
    reader: Any = SimpleNamespace(client=None)
    extraction = AmoExtraction(reader, "amocrm:shop", tally)
    reading = Lister(extraction, LEADS, Cut(NOON, {}), Request(), {})
    return reading._tables(pages), tally


@pytest.fixture
def parsed_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Takes the number of rows of each block that is parsed."""
    sizes: list[int] = []
    parse = AmoExtraction.parse

    def noted(self: AmoExtraction, table: Any, rows: Any, *more: Any, **named: Any) -> pa.Table:
        sizes.append(len(rows))
        return parse(self, table, rows, *more, **named)

    monkeypatch.setattr(AmoExtraction, "parse", noted)
    return sizes


def test_each_row_keeps_the_second_of_its_page(parsed_sizes: list[int]) -> None:
    tables, tally = read([page([5, 6]), page([4, 5]), page([3], 1), page([2], 0), page([1], 0)])
    (table,) = tables
    assert table is not None
    seconds = [(at - NOON).seconds for at in table.column("received_at").to_pylist()]
    assert list(zip(table.column("id").to_pylist(), seconds, strict=True)) == [
        *((5, 0), (6, 0), (4, 0), (3, 1), (2, 0), (1, 0))
    ]
    assert parsed_sizes == [3, 1, 2]
    assert tally.received == {"leads": 6}


def test_a_full_block_is_parsed_without_waiting_for_more(
    monkeypatch: pytest.MonkeyPatch, parsed_sizes: list[int]
) -> None:
    monkeypatch.setattr(lister, "ROWS_PER_BLOCK", 4)
    tables, _ = read([page(range(first, first + 2)) for first in range(0, 10, 2)])
    assert sum(len(table) for table in tables if table is not None) == 10
    assert parsed_sizes == [4, 4, 2]


def test_what_came_before_an_error_is_received() -> None:
    def pages() -> Iterator[Answer]:
        yield page([2, 3])
        yield page([1])
        raise AmoError("gone")

    tables, tally = read(pages())
    table = next(tables)
    assert table is not None
    assert table.column("id").to_pylist() == [2, 3, 1]
    assert tally.received == {"leads": 3}
    with pytest.raises(AmoError):
        next(tables)


def test_links_of_one_page_are_dropped_in_its_block() -> None:
    tables, _ = read([page([2]), page([1], holds_links=True)])
    (table,) = tables
    assert table is not None
    assert table.column("extra").to_pylist() == [None, None]


def test_pages_without_new_rows_are_not_parsed(parsed_sizes: list[int]) -> None:
    tables, tally = read([page([1]), page([1], 1), page([], 2)])
    assert sum(len(table) for table in tables if table is not None) == 1
    assert parsed_sizes == [1]
    assert tally.received == {"leads": 1}


def packed(ids: Iterable[int], second: int = 0) -> Answer:
    """The same page, packed."""
    answer = page(ids, second)
    form = PageForm(LEADS.table, "leads", {})
    form.learn(answer.rows)
    text = json.dumps({"_links": {}, "_embedded": {"leads": answer.rows}}).encode()
    rows = form.read(text, answer.server_now)
    assert rows is not None
    return replace(answer, rows=[], packed=rows)


def test_packed_pages_and_others_become_one_table(parsed_sizes: list[int]) -> None:
    tables, tally = read(
        [packed([5, 6]), page([4, 5]), packed([3, 2, 3], 1), packed([4, 2]), page([1, 2], 1)]
    )
    (table,) = tables
    assert table is not None
    seconds = [(at - NOON).seconds for at in table.column("received_at").to_pylist()]
    assert sorted(zip(table.column("id").to_pylist(), seconds, strict=True)) == [
        *((1, 1), (2, 1), (3, 1), (4, 0), (5, 0), (6, 0))
    ]
    assert parsed_sizes == [1, 1]
    assert tally.received == {"leads": 6}
    assert tally.quarantined == {"leads": 0}


def test_a_full_table_of_packed_pages_does_not_wait_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lister, "ROWS_PER_TABLE", 4)
    tables, _ = read([packed(range(first, first + 2)) for first in range(1, 11, 2)])
    assert [len(table) for table in tables if table is not None] == [4, 4, 2]


def test_packed_pages_before_an_error_are_received() -> None:
    def pages() -> Iterator[Answer]:
        yield packed([2, 3])
        raise AmoError("gone")

    tables, tally = read(pages())
    table = next(tables)
    assert table is not None
    assert table.column("id").to_pylist() == [2, 3]
    assert tally.received == {"leads": 2}
    with pytest.raises(AmoError):
        next(tables)
