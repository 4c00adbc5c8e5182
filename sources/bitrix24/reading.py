"""Reading lists by id, in chains of pages and several at once.

A page holds 50 rows; a batch holds 50 commands, each of which may start where the one before it
ended (`>ID=$result[p0][49][ID]`), so that one request brings 2,500 rows without a count. Ranges of
ids are read side by side, since a batch takes the portal 2 s and the bucket lets two a second in.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from sources.bitrix24.client import (
    BATCH_SIZE,
    PARALLEL_REQUESTS,
    Answer,
    Bitrix24Client,
    MethodBlockedError,
)
from sources.bitrix24.errors import ASK, PortalError
from sources.bitrix24.lists import IdList

PAGE_SIZE = 50
_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""
_DENSE = 0.98
"""Share of ids in use above which a range of 2,500 ids fits a batch exactly."""
_FILL = 0.98
"""How full a batch is planned where ids have gaps: a little too many rows cost a whole request."""

Parse = Callable[[list[Any], Answer], pa.Table]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Span:
    """Ids above `lower` up to `upper` (None: to the end), and how many rows are expected there."""

    lower: int
    upper: int | None
    rows: float

    @property
    def pages(self) -> int:
        """Commands to spend on it in the next request."""
        pages = math.ceil(self.rows / PAGE_SIZE / _FILL)
        if self.upper is not None:
            pages = min(pages, math.ceil((self.upper - self.lower) / PAGE_SIZE))
        return max(1, min(BATCH_SIZE, pages))


def spans(lower: int, upper: int, rows: int, first_id: int | None = None) -> list[Span]:
    """Ranges of ids that fill a batch each, taking ids as evenly spread.

    Args:
        lower: ids above it.
        upper: up to this id.
        rows: how many rows the portal counts there.
        first_id: the lowest id there, where it is known.
    """
    start = lower if first_id is None else max(lower, first_id - 1)
    if rows <= 0 or upper <= start:
        return [Span(lower, upper, 1)] if upper > lower else []
    density = min(1.0, rows / (upper - start))
    full = PAGE_SIZE * BATCH_SIZE
    width = full if density >= _DENSE else max(full, int(full * _FILL / density))
    bounds = [lower, *range(start + width, upper, width), upper]
    return [
        Span(low, high, (high - max(low, start)) * density)
        for low, high in itertools.pairwise(bounds)
    ]


@dataclass(frozen=True)
class Block:
    """Rows of one request, parsed."""

    table: pa.Table
    last_id: int


class Reader:
    """Reads one portal with several requests at once; made per load, closed after it."""

    def __init__(self, client: Bitrix24Client, parallel: int = PARALLEL_REQUESTS) -> None:
        self.client = client
        self._parallel = parallel
        _keep_arenas_few()
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="bitrix24")

    def close(self) -> None:
        """Stop the threads; requests under way are waited for."""
        self._pool.shutdown(cancel_futures=True)

    def read(
        self,
        entity: IdList,
        filters: Mapping[str, Any],
        ranges: list[Span],
        parse: Parse,
        *,
        only_ids: bool = False,
    ) -> Iterator[Block | None]:
        """Rows of the ranges, in blocks of up to 2,500, in no particular order.

        Args:
            entity: the list.
            filters: beside those of the list.
            ranges: what to read; see `spans`.
            parse: rows of one block to an Arrow table; called in the reading threads.
            only_ids: ask for ids only, where the portal can.

        Yields:
            Blocks; None while the portal has stopped the method and others may go on.

        Raises:
            PortalError: the portal refuses, or pages in a circle.
        """
        waiting = deque(ranges)

        def jobs() -> Iterator[list[tuple[Span, int]]]:
            while waiting:
                yield _packed(waiting)

        def fetch(taken: list[tuple[Span, int]]) -> tuple[list[Block], list[Span]]:
            with self.client.one_of_few():
                return self._fetch(entity, filters, taken, parse, only_ids)

        for result in self.run(
            jobs, fetch, entity.method, put_back=lambda t: waiting.extend(s for s, _ in t)
        ):
            if result is None:
                yield None
                continue
            blocks, rest = result
            waiting.extend(rest)
            yield from blocks

    def run(
        self,
        jobs: Callable[[], Iterator[Job]],
        work: Callable[[Job], Result],
        method: str,
        put_back: Callable[[Job], None],
    ) -> Iterator[Result | None]:
        """Work on jobs side by side; results in the order in which they are ready.

        Args:
            jobs: gives the jobs waiting at the moment; asked again after every result.
            work: runs in a thread; may raise MethodBlockedError, the job then waits.
            method: named when it is blocked.
            put_back: takes a job that has to wait.

        Yields:
            Results; None while the method is blocked.

        Raises:
            PortalError: of the first job that failed; the method stays blocked for too long.
        """
        under_way: dict[Future[Result], Job] = {}
        blocked_until, blocked_seconds = 0.0, 0.0
        try:
            while True:
                # One look at the clock: between two of them the block may end, and what waits
                # would be taken for done.
                is_blocked = time.monotonic() < blocked_until
                if not is_blocked:
                    for job in jobs():
                        under_way[self._pool.submit(work, job)] = job
                        if len(under_way) >= self._parallel + 2:
                            break
                if not under_way:
                    if not is_blocked:
                        return
                    yield None
                    continue
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    job = under_way.pop(future)
                    try:
                        result = future.result()
                    except MethodBlockedError as blocked:
                        put_back(job)
                        until = time.monotonic() + blocked.seconds
                        if until > blocked_until + 1.0:
                            self.client.say_blocked(MethodBlockedError(method, blocked.seconds))
                            blocked_seconds += blocked.seconds
                        blocked_until = max(blocked_until, until)
                        continue
                    if not is_blocked:
                        # It goes on: the patience counts from the next block.
                        blocked_seconds = 0.0
                    yield result
                if blocked_seconds > self.client.max_wait_seconds:
                    raise self.client.blocked_error(method)
        finally:
            for future in under_way:
                future.cancel()
            wait(under_way)

    def _fetch(
        self,
        entity: IdList,
        filters: Mapping[str, Any],
        taken: list[tuple[Span, int]],
        parse: Parse,
        only_ids: bool,
    ) -> tuple[list[Block], list[Span]]:
        answers = self._ask(entity, filters, taken, only_ids)
        blocks, rest = [], []
        for place, (span, pages) in enumerate(taken):
            rows: list[Any] = []
            last, has_ended = span.lower, False
            for page in range(pages):
                found = entity.rows(answers[f"s{place}p{page}"].result)
                ids = entity.ids(found)
                if page and ids and min(ids) <= last:
                    # The reference to the page before it was not understood (its last row has no
                    # readable id): the next request starts behind the highest id by itself.
                    break
                highest = max(ids, default=last)
                if found and highest <= last and (ids or len(found) >= PAGE_SIZE):
                    raise PortalError(
                        f"{self.client.host} pages {entity.method} in a circle (no id above "
                        f"{last}): {ASK}"
                    )
                if page and not found:
                    # The list ends with a full page, or the portal took a reference that it did
                    # not understand for "no rows": the next request asks without one.
                    break
                rows += found
                last = highest
                has_ended = len(found) < PAGE_SIZE or (
                    span.upper is not None and last >= span.upper
                )
                if has_ended:
                    break
            if rows:
                blocks.append(Block(parse(rows, answers[f"s{place}p0"]), last))
            if not has_ended:
                rest.append(_rest(span, last, len(rows)))
        return blocks, rest

    def _ask(
        self,
        entity: IdList,
        filters: Mapping[str, Any],
        taken: list[tuple[Span, int]],
        only_ids: bool,
    ) -> dict[str, Answer]:
        requests: dict[str, dict[str, Any]] = {}
        for place, (span, pages) in enumerate(taken):
            after = str(span.lower)
            for page in range(pages):
                bounds: dict[str, Any] = {f">{entity.id_field}": after}
                if span.upper is not None:
                    bounds[f"<={entity.id_field}"] = span.upper
                request = entity.request({**filters, **bounds}, only_ids=only_ids)
                key = f"s{place}p{page}"
                # start=-1 leaves the counting out: 49.9 s against 0.1 s on 2.4 million rows
                # (vendor's page huge-data).
                requests[key] = {**request, "start": -1}
                after = entity.last_id_of(key, PAGE_SIZE)
        if len(requests) == 1:
            (key, request), *_ = requests.items()
            return {key: self.client.call_unless_blocked(entity.method, request)}
        return self.client.batch({key: entity.command(asked) for key, asked in requests.items()})


def _keep_arenas_few() -> None:
    """Reading threads would keep an arena of memory each: 90 MB more at the peak of a load."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _packed(waiting: deque[Span]) -> list[tuple[Span, int]]:
    """Ranges that fill one batch, with their pages."""
    taken: list[tuple[Span, int]] = []
    left = BATCH_SIZE
    while waiting and (not taken or waiting[0].pages <= left):
        span = waiting.popleft()
        taken.append((span, min(span.pages, left)))
        left -= taken[-1][1]
        if left == 0:
            break
    return taken


def _rest(span: Span, last: int, rows: int) -> Span:
    """What a range still holds, judged by what has come."""
    if span.upper is None:
        # Nobody knows how much comes: ten times as much as so far.
        return Span(last, None, max(rows, PAGE_SIZE) * 10)
    density = rows / (last - span.lower) if last > span.lower else 1.0
    return Span(last, span.upper, max(1.0, (span.upper - last) * density))
