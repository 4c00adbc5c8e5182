"""Reading by id: every row once, whatever the gaps, in few requests, several at once."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from sources.bitrix24 import lists, tables
from sources.bitrix24.client import Answer, Bitrix24Client
from sources.bitrix24.errors import PortalError
from sources.bitrix24.lists import IdList
from sources.bitrix24.reading import Block, Reader, Span, spans
from sources.demo.faults import FaultPlan
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.parsing import parse_rows
from tests.support.portals import NOON, at, call_row, deal_row

Serve = Callable[..., tuple[Portal, Reader]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A portal with deals of these ids, and a reader that no limit slows down."""
    open_now: list[Any] = []

    def start(deal_ids: Iterable[int], parallel: int = 4) -> tuple[Portal, Reader]:
        store = PortalStore(tmp_path / "portal.sqlite")
        store.create()
        store.set_meta("clock", at(0))
        store.insert("deal", (deal_row(deal_id) for deal_id in deal_ids))
        store.finish()
        portal = Portal(store)
        served = serve_in_thread(portal)
        address = served.__enter__()
        reader = Reader(Bitrix24Client(address, requests_per_second=0), parallel)
        open_now.extend([reader.close, lambda: served.__exit__(None, None, None), store.close])
        return portal, reader

    yield start
    for stop in open_now:
        stop()


def only_id(rows: list[Any], _: Answer) -> pa.Table:
    return pa.table({"id": pa.array(lists.DEALS.ids(rows), pa.int64())})


def read(reader: Reader, ranges: list[Span], filters: Mapping[str, Any] | None = None) -> list[int]:
    """The ids that arrive; none of them twice."""
    found: list[int] = []
    for block in reader.read(lists.DEALS, filters or {}, ranges, only_id):
        found += [] if block is None else block.table["id"].to_pylist()
    assert len(found) == len(set(found)), "a row came twice"
    return sorted(found)


def whole(ids: list[int]) -> list[Span]:
    return spans(0, max(ids), len(ids), min(ids))


def gapped(count: int, share: float) -> list[int]:
    """So many ids of which a share is missing between the first and the last."""
    return sorted(random.Random(7).sample(range(1, int(count / (1 - share)) + 1), count))


# Ranges


def test_dense_ids_fill_batches_exactly() -> None:
    found = spans(0, 6000, 6000, 1)
    assert [(span.lower, span.upper, span.pages) for span in found] == [
        (0, 2500, 50),
        (2500, 5000, 50),
        (5000, 6000, 20),
    ]


def test_ids_with_gaps_are_planned_a_little_less_than_full() -> None:
    found = spans(0, 10_000, 9_500, 1)
    assert all(span.pages <= 50 for span in found)
    assert all(2300 <= span.rows <= 2500 for span in found[:-1])
    assert sum(span.rows for span in found) == pytest.approx(9_500)


@pytest.mark.parametrize(
    ("lower", "upper", "rows", "expected"),
    [
        (0, 0, 0, []),
        (5, 5, 3, []),
        (9, 5, 3, []),
        (0, 10, 0, [Span(0, 10, 1)]),
        (0, 1, 1, [Span(0, 1, 1.0)]),
        (0, 1_000_000, 1, [Span(0, 1_000_000, 1.0)]),
    ],
)
def test_small_lists_are_one_range_or_none(
    lower: int, upper: int, rows: int, expected: list[Span]
) -> None:
    assert spans(lower, upper, rows) == expected
    assert all(span.pages == 1 for span in expected)


def test_a_first_id_far_away_makes_no_empty_ranges() -> None:
    found = spans(0, 105_000, 5_000, 100_001)
    assert [(span.lower, span.upper) for span in found] == [(0, 102_500), (102_500, 105_000)]
    assert [span.pages for span in found] == [50, 50]


def test_ranges_cover_every_id_once_whatever_the_counts_say() -> None:
    draw = random.Random(3)
    for _ in range(300):
        lower = draw.choice([0, 0, draw.randrange(1, 10**6)])
        upper = lower + draw.choice([1, draw.randrange(1, 10**4), draw.randrange(1, 10**8)])
        rows = draw.choice([0, 1, draw.randrange(1, 10**5), min(10**5, 2 * (upper - lower))])
        first = draw.choice([None, draw.randrange(0, upper + 2)])
        found = spans(lower, upper, rows, first)
        assert (found[0].lower, found[-1].upper) == (lower, upper)
        assert all(a.upper == b.lower for a, b in itertools.pairwise(found))
        assert all(1 <= span.pages <= 50 for span in found)
        assert len(found) <= math.ceil(rows / 2400) + 1


def test_nobody_knows_how_much_an_open_range_holds() -> None:
    assert Span(0, None, 50).pages == 2
    assert Span(0, None, 10**6).pages == 50


# Whole lists

CLUMPS = [*range(1, 1501), *range(1_000_000, 1_003_200), *range(88_000_000, 88_000_060)]
SHAPES = {
    "one": [7],
    "50": list(range(1, 51)),
    "51": list(range(1, 52)),
    "2,500": list(range(1, 2501)),
    "2,501": list(range(1, 2502)),
    "dense": list(range(1, 6001)),
    "5 % gaps": gapped(6000, 0.05),
    "80 % gaps": gapped(3000, 0.8),
    "late start": list(range(5_000_001, 5_002_701)),
    "clumps": CLUMPS,
    "halves": [*range(1, 3001), *range(3001, 9001, 3)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_arrives_once(serve: Serve, shape: str) -> None:
    ids = SHAPES[shape]
    _, reader = serve(ids)
    assert read(reader, whole(ids)) == ids


@pytest.mark.parametrize("shape", ["50", "2,500", "2,501", "clumps"])
def test_every_row_arrives_once_from_an_open_range(serve: Serve, shape: str) -> None:
    ids = SHAPES[shape]
    _, reader = serve(ids)
    assert read(reader, [Span(0, None, 50)]) == ids


@pytest.mark.parametrize(("shape", "requests"), [("dense", 3), ("5 % gaps", 3), ("2,500", 1)])
def test_commands_and_requests_are_as_few_as_the_pages_allow(
    serve: Serve, shape: str, requests: int
) -> None:
    ids = SHAPES[shape]
    portal, reader = serve(ids)
    assert read(reader, whole(ids)) == ids
    assert portal.calls["crm.deal.list"] <= 1.1 * math.ceil(len(ids) / 50)
    assert portal.requests == requests


def test_an_empty_list_costs_nothing(serve: Serve) -> None:
    portal, reader = serve([])
    assert read(reader, spans(0, 0, 0, None)) == []
    assert portal.requests == 0


def test_small_ranges_share_a_request(serve: Serve) -> None:
    portal, reader = serve(range(1, 1001))
    ranges = [Span(lower, lower + 100, 100) for lower in range(0, 1000, 100)]
    assert read(reader, ranges) == list(range(1, 1001))
    assert portal.requests == 1


def test_a_filtered_list_is_read_in_growing_steps(serve: Serve) -> None:
    portal, reader = serve([])
    changed = set(gapped(1310, 0.7))
    portal.store.insert(
        "deal",
        [deal_row(n, DATE_MODIFY=at(60 if n in changed else 0)) for n in range(1, 5001)],
    )
    since = {">=DATE_MODIFY": NOON.replace(minute=30).isoformat()}
    assert read(reader, [Span(0, None, 50)], since) == sorted(changed)
    # 2, 21 and 50 pages.
    assert portal.requests == 3


def test_only_ids_are_asked_for_where_the_portal_can(serve: Serve) -> None:
    portal, reader = serve(range(1, 121))
    portal.store.insert("call", [call_row(n, n) for n in range(1, 61)])
    fields: dict[str, set[str]] = {}

    def parse(rows: list[Any], _: Answer) -> pa.Table:
        fields.setdefault(entity.name, set()).update(*rows)
        return only_id(rows, _)

    for entity, count in ((lists.DEALS, 120), (lists.CALLS, 60)):
        blocks = list(reader.read(entity, {}, [Span(0, None, 50)], parse, only_ids=True))
        assert sum(len(block.table) for block in blocks if block) == count
    assert fields["deals"] == {"ID"}
    assert "CALL_START_DATE" in fields["calls"]


# Rows that come and go meanwhile


def test_a_row_deleted_between_pages_hides_no_other(serve: Serve) -> None:
    ids = list(range(1, 6001))
    portal, reader = serve(ids, 1)
    portal.fault_plan = FaultPlan(
        [
            {"method": "crm.deal.list", "action": "delete", "entity": "deal", "id": n, "nth": 2}
            for n in (10, 2600, 5999)
        ]
    )
    assert read(reader, whole(ids)) == [n for n in ids if n not in (2600, 5999)]


def test_a_row_inserted_between_pages_moves_no_other(serve: Serve) -> None:
    ids = [n for n in range(1, 6001) if n not in (20, 3000)]
    portal, reader = serve(ids, 1)
    new = {"STAGE_ID": "NEW", "DATE_CREATE": NOON.isoformat()}
    portal.fault_plan = FaultPlan(
        [
            {
                "method": "crm.deal.list",
                "action": "insert",
                "entity": "deal",
                "row": {"ID": n, **new},
                "nth": 2,
            }
            for n in (20, 3000, 6001)
        ]
    )
    assert read(reader, whole(ids)) == sorted({*ids, 3000})


# References that lead nowhere


def test_rows_arrive_one_page_at_a_time_where_references_are_not_understood(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, reader = serve(range(1, 421))
    monkeypatch.setattr(IdList, "last_id_of", lambda *_: "$result[nothing][49][ID]")
    ids = list(range(1, 421))
    assert read(reader, [Span(0, 210, 210), Span(210, 420, 210)]) == ids
    assert read(reader, [Span(0, None, 50)]) == ids
    assert portal.requests < 20


class Scripted(Bitrix24Client):
    """Answers batches of one list with what a function says for `(after, upper)`."""

    def __init__(self, page: Callable[[int], list[Any]]) -> None:
        super().__init__("http://127.0.0.1:1/rest/1/none/")
        self.page = page
        self.asked: list[list[str]] = []

    def batch(self, commands: Mapping[str, str]) -> dict[str, Answer]:
        self.asked.append(list(commands.values()))
        answers: dict[str, Answer] = {}
        after = 0
        for key, command in commands.items():
            after = (
                int(command.partition("ID%5D=")[2].partition("&")[0] or 0)
                if ("$result" not in command)
                else after
            )
            rows = self.page(after)
            after = self.next_after(rows)
            answers[key] = Answer(rows, None, None, NOON)
        return answers

    @staticmethod
    def next_after(rows: list[Any]) -> int:
        """What the portal puts in place of a reference to the fiftieth row."""
        last = rows[49] if len(rows) >= 50 else None
        return last["ID"] if isinstance(last, dict) and isinstance(last.get("ID"), int) else 0


def row(number: Any, **fields: Any) -> dict[str, Any]:
    return {"ID": number, "STAGE_ID": "NEW", "DATE_CREATE": "2026-01-01T00:00:00Z", **fields}


def parsed(reader: Reader) -> tuple[list[int], int]:
    """The ids that can be read, and how many rows can't."""
    refused = 0

    def parse(rows: list[Any], answer: Answer) -> pa.Table:
        nonlocal refused
        table, quarantined = parse_rows(tables.DEALS, rows, "bitrix24:main", answer.server_now)
        refused += len(quarantined)
        return table

    blocks: list[Block | None] = list(reader.read(lists.DEALS, {}, [Span(0, None, 50)], parse))
    reader.close()
    return [n for block in blocks if block for n in block.table["id"].to_pylist()], refused


def test_reading_by_id_in_a_circle_is_told() -> None:
    client = Scripted(lambda after: [row(number) for number in range(1, 51)])
    with pytest.raises(PortalError, match=r"pages crm\.deal\.list in a circle"):
        parsed(Reader(client))


def test_a_row_without_a_readable_id_stops_neither_the_page_nor_the_next() -> None:
    first = [row(number) for number in range(1, 48)] + [row("x"), row(None), "rubbish"]
    client = Scripted(lambda after: [row(60), row([])] if after == 47 else first)
    ids, refused = parsed(Reader(client))
    assert ids == [*range(1, 48), 60]
    assert refused == 4
    assert "filter%5B%3EID%5D=47" in client.asked[-1][0]


def test_an_unreadable_last_row_whose_reference_the_portal_understands_loses_nothing() -> None:
    def page(after: int) -> list[Any]:
        found = [row(number) for number in range(after + 1, min(after + 51, 126))]
        return [{**r, "STAGE_ID": None} if r["ID"] == 50 else r for r in found]

    ids, refused = parsed(Reader(Scripted(page)))
    assert ids == [n for n in range(1, 126) if n != 50]
    assert refused == 1


# Blocked methods


def fake_clock(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Every look at the clock takes some seconds."""
    moments = itertools.count(0.0, step)
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("sources.bitrix24.reading.time", clock)


@pytest.mark.parametrize("step", [13, 17, 19, 23, 29, 31, 37])
def test_a_blocked_method_gives_way_and_loses_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    ids = list(range(1, 4001))
    portal, reader = serve(ids)
    portal.fault_plan = FaultPlan(
        [{"method": "crm.deal.list", "action": "operation_limit", "nth": 30, "seconds": 100}]
    )
    fake_clock(monkeypatch, step)
    blocks = list(reader.read(lists.DEALS, {}, whole(ids), only_id))
    assert None in blocks
    found = [n for block in blocks if block for n in block.table["id"].to_pylist()]
    assert sorted(found) == ids


def test_another_list_is_read_while_a_method_is_blocked(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, reader = serve(range(1, 301))
    portal.store.insert("contact", [{"ID": n} for n in range(1, 201)])
    portal.fault_plan = FaultPlan(
        [{"method": "crm.deal.list", "action": "operation_limit", "seconds": 1000}]
    )
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("sources.bitrix24.reading.time", clock)
    reader.client.max_wait_seconds = 2000
    deals = reader.read(lists.DEALS, {}, [Span(0, 300, 300)], only_id)
    assert next(deals) is None
    contacts = list(reader.read(lists.CONTACTS, {}, [Span(0, 200, 200)], only_id))
    assert sum(len(block.table) for block in contacts if block) == 200
    assert next(deals) is None
    now[0] = 1001.0
    assert sum(len(block.table) for block in deals if block) == 300


def test_blocks_with_progress_between_them_do_not_add_up_to_the_patience(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list(range(1, 10_001))
    portal, reader = serve(ids, 1)
    portal.fault_plan = FaultPlan(
        [
            {"method": "crm.deal.list", "action": "operation_limit", "nth": nth, "seconds": 600}
            # In the first request, and in the one after it has come through.
            for nth in (10, 210)
        ]
    )
    fake_clock(monkeypatch, 50)
    assert read(reader, whole(ids)) == ids
    assert portal.fault_plan.fired["operation_limit"] == 2


def test_a_method_that_stays_blocked_is_told_in_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, reader = serve(range(1, 201))
    portal.fault_plan = FaultPlan(
        [
            {
                "method": "crm.deal.list",
                "action": "operation_limit",
                "times": "forever",
                "seconds": 400,
            }
        ]
    )
    fake_clock(monkeypatch, 50)
    with pytest.raises(PortalError, match=r"kept refusing crm.deal.list \(OPERATION_TIME_LIMIT\)"):
        read(reader, [Span(0, 200, 200)])


# Errors


def test_an_error_in_one_thread_stops_the_others(serve: Serve) -> None:
    ids = list(range(1, 40_001))
    portal, reader = serve(ids)
    portal.fault_plan = FaultPlan(
        [
            {
                "method": "crm.deal.list",
                "action": "command_error",
                "nth": 60,
                "code": "INVALID_ARG_VALUE",
                "description": "Invalid filter",
            }
        ]
    )
    with pytest.raises(PortalError, match="Invalid filter"):
        read(reader, whole(ids))
    stopped_at = portal.requests
    # Two requests, those that were under way with them, and none of the other 14.
    assert stopped_at < 12
    reader.close()
    assert portal.requests == stopped_at


def test_a_reader_whose_consumer_stops_leaves_nothing_behind(serve: Serve) -> None:
    ids = list(range(1, 20_001))
    portal, reader = serve(ids)
    blocks = reader.read(lists.DEALS, {}, whole(ids), only_id)
    assert next(blocks) is not None
    blocks.close()  # type: ignore[attr-defined]
    stopped_at = portal.requests
    reader.close()
    assert portal.requests == stopped_at


def test_an_empty_page_behind_a_full_one_is_asked_for_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portal may answer a reference that it does not understand with no rows."""
    ids = list(range(1, 501))
    _, reader = serve(ids)
    batch = reader.client.batch

    def without_references(commands: dict[str, str]) -> dict[str, Answer]:
        answers = batch(commands)
        return {
            key: replace(answer, result=[]) if "$result" in commands[key] else answer
            for key, answer in answers.items()
        }

    monkeypatch.setattr(reader.client, "batch", without_references)
    assert read(reader, [Span(0, None, 400)]) == ids
