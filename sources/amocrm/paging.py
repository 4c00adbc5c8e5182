"""Reading numbered pages so that no row is skipped though rows come and go meanwhile.

Pages are places in a list: `page=3&limit=250` are the rows 501 to 750 of the moment. When a row
before a place vanishes, all rows behind it move one place forward, and a reader that goes on from
page to page never sees the one that has moved onto a page it has read already.

Read from the last page to the first, the same list loses nothing: rows only ever move to places
that are still to be read, so that a row may come twice but never not at all. That needs a fixed
order in which rows don't overtake each other (by id: total, and nothing changes it) and that no
row enters in front of what was read. New records have the highest ids, and enter behind. A record
that is restored from the recycle bin does enter in the middle; the first read asks for these
(`sources.amocrm.lister`), and the sweep of ids finds what a later read misses.

Several pages in flight break the argument, since the page before is then not read later than the
page behind. So the pages are cut into lanes, each read backwards, and where two lanes meet, what
may have moved from the upper into the lower one meanwhile is read once more (`_seam`).

All this believes what the server says. A page that repeats another one, or holds nothing though
rows stand behind it, would lose the rows that it should hold: where one does, both pages and those
between them are asked for again (`_Seen`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from sources.amocrm.client import AmoClient, Answer, maximum
from sources.amocrm.errors import contradiction_error
from sources.packing import PageForm

LANES = 4
"""Pages in flight: answers of 250 cards take about half a second, seven of them may start in one
second."""
FEWEST_PAGES = 4
"""A lane of fewer pages does not pay for its seam."""
TRIES = 5
"""How often pages are asked for that can't be true together. In a list that people work in they are
once in a while: when as many rows as a page holds vanish between two requests."""


@dataclass(frozen=True)
class Listing:
    """A list as it is asked for.

    Attributes:
        path: below `/api/v4/`.
        parameters: of every page: filter, order, with.
        limit: rows of a page.
    """

    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 0

    @property
    def rows_per_page(self) -> int:
        """Rows of a full page."""
        return self.limit or maximum(self.path)

    def page(self, number: int) -> dict[str, Any]:
        """The parameters of one page: all of them each time, since `next` may leave some out."""
        return {**self.parameters, "page": number, "limit": self.rows_per_page}


@dataclass
class _Lane:
    """Pages from `top` down to `bottom`, one after the other."""

    top: int
    bottom: int
    next: int = 0
    highest: int = 0
    """The highest id on the first page that was read; 0 where there was none."""

    def __post_init__(self) -> None:
        self.next = self.top

    def take(self, answer: Answer) -> None:
        """Note what a page held."""
        if self.next == self.top:
            self.highest = max(_ids(answer), default=0)
        self.next -= 1


class _Seen:
    """What the pages of one reading held."""

    def __init__(self) -> None:
        self._pages: dict[str, int] = {}
        self._empty: set[int] = set()

    def conflict(self, number: int, answer: Answer) -> int | None:
        """Note a page; the number of another one that can't be true beside it.

        That is one with the same rows, or, of two, an empty one before one with rows.
        """
        keys = _keys(answer)
        if not keys:
            self._empty.add(number)
            return max((page for page in self._pages.values() if page > number), default=None)
        ends = repr([keys[0], keys[-1], len(keys)])
        if (other := self._pages.setdefault(ends, number)) != number:
            return other
        return min((page for page in self._empty if page < number), default=None)

    def forget(self, numbers: Collection[int]) -> None:
        """These pages were read again: what was noted of them is void."""
        self._pages = {ends: page for ends, page in self._pages.items() if page not in numbers}
        self._empty.difference_update(numbers)


class PageReader:
    """Reads the lists of one account; made per load, closed after it."""

    def __init__(self, client: AmoClient, lanes: int = LANES) -> None:
        self.client = client
        self._lanes = lanes
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="amocrm")

    def close(self) -> None:
        """Stop the threads; requests under way are waited for."""
        self._pool.shutdown(cancel_futures=True)

    def page(self, listing: Listing, number: int, form: PageForm | None = None) -> Answer:
        """One page; packed where a form is given and its rows are plain."""
        return self.client.get(listing.path, listing.page(number), form)

    def last_page(self, listing: Listing) -> int:
        """The number of the last page that holds rows, by doubling and bisection; 0: no rows.

        Raises:
            AmoError: pages repeat, or are said to follow and do not.
        """
        for _ in range(TRIES):
            found = self._search(listing)
            if found is not None:
                return found
        raise contradiction_error(self.client.host, listing.path)

    def _search(self, listing: Listing) -> int | None:
        """The number of the last page that holds rows; None where the answers contradict."""
        seen = _Seen()
        low, high, middle = 0, 0, 1
        while True:
            answer = self.page(listing, middle)
            if answer.rows and seen.conflict(middle, answer) is not None:
                return None
            if answer.rows and not answer.has_next:
                return middle
            low, high = (middle, high) if answer.rows else (low, middle)
            if high - low == 1:
                # A last page of which another is said to follow: which of the two has changed?
                return 0 if low == 0 else None
            middle = (low + high) // 2 if high else low * 2

    def _together(self, listing: Listing, bottom: int, top: int) -> dict[int, Answer]:
        """Pages from `top` down to `bottom`, by their numbers, that can be true together."""
        for _ in range(TRIES):
            seen = _Seen()
            answers: dict[int, Answer] = {}
            for number in range(top, bottom - 1, -1):
                answers[number] = self.page(listing, number)
                if seen.conflict(number, answers[number]) is not None:
                    break
            else:
                return answers
        raise contradiction_error(self.client.host, listing.path)

    def backwards(
        self,
        listing: Listing,
        lanes: int | None = None,
        form: PageForm | None = None,
        *,
        moves_to_end: bool = False,
    ) -> Iterator[Answer]:
        """All pages, the last one first: a row may come twice, but none is skipped.

        For lists in which rows vanish anywhere, and new ones come in only at the end.

        Args:
            listing: the list.
            lanes: 1 for a list that is not in the order of a numeric id.
            form: that of its pages, where they may come packed.
            moves_to_end: rows that change meanwhile move to the end, behind what was read: it is
                read once more.
        """
        first = self.page(listing, 1)
        if not first.has_next:
            yield first
            return
        last = self.last_page(listing)
        yield from self.descending(listing, last, lanes=lanes, form=form)
        has_next = moves_to_end
        while has_next:
            answer = self.page(listing, last)
            yield answer
            last, has_next = last + 1, answer.has_next

    def descending(
        self,
        listing: Listing,
        top: int,
        bottom: int = 1,
        lanes: int | None = None,
        form: PageForm | None = None,
    ) -> Iterator[Answer]:
        """Pages from `top` down to `bottom` of a list by ascending numeric id, side by side.

        Args:
            listing: the list.
            top: the first page that is read.
            bottom: the last page that is read.
            lanes: 1 for a list that is not in the order of a numeric id.
            form: that of its pages, where they may come packed.

        Yields:
            Pages, with one lane from `top` to `bottom`, otherwise in no particular order; a row
            may come twice.

        Raises:
            AmoError: pages repeat, or hold nothing though rows stand behind them.
        """
        pages = _cut(top, bottom, lanes or self._lanes)
        seen = _Seen()
        under_way: dict[Future[Answer], _Lane] = {}
        try:
            for lane in pages:
                under_way[self._submit(listing, lane, form)] = lane
            while under_way:
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    lane = under_way.pop(future)
                    answers = {lane.next: future.result()}
                    if other := seen.conflict(lane.next, answers[lane.next]):
                        answers = self._together(listing, *sorted((lane.next, other)))
                        seen.forget(answers)
                    lane.take(answers[lane.next])
                    if lane.next >= lane.bottom:
                        under_way[self._submit(listing, lane, form)] = lane
                    yield from answers.values()
        finally:
            for future in under_way:
                future.cancel()
            wait(under_way)
        for lower in pages[1:]:
            yield from self._seam(listing, lower)

    def _submit(self, listing: Listing, lane: _Lane, form: PageForm | None) -> Future[Answer]:
        return self._pool.submit(self.page, listing, lane.next, form)

    def _seam(self, listing: Listing, lower: _Lane) -> Iterator[Answer]:
        """What has moved into a lane from the one above it after the lane was begun.

        Such a row has a higher id than any that the lane saw on its first page, and stands on that
        page or before it by now, directly behind rows that the lane did see.
        """
        for number in range(lower.top, 0, -1):
            answer = self.page(listing, number)
            yield answer
            found = ids_of(answer.rows)
            if found and min(found) <= lower.highest:
                return


def ids_of(rows: Sequence[Any]) -> list[int]:
    """The ids that can be read."""
    return [found for row in rows if (found := id_of(row)) is not None]


def _keys(answer: Answer) -> Sequence[Any]:
    """What tells the rows of a page apart."""
    return answer.packed.ids if answer.packed else list(map(_key, answer.rows))


def _ids(answer: Answer) -> Sequence[int]:
    """The ids of a page that can be read."""
    return answer.packed.ids if answer.packed else ids_of(answer.rows)


def _key(row: Any) -> Any:
    known = (row.get("id") or row.get("uid")) if isinstance(row, dict) else None
    return row if known is None else known


def id_of(row: Any) -> int | None:
    """A row's id; None where it can't be read."""
    try:
        return int(row["id"])
    except (KeyError, TypeError, ValueError):
        return None


def _cut(top: int, bottom: int, lanes: int) -> list[_Lane]:
    """Pages as lanes of about the same length, the topmost first."""
    pages = top - bottom + 1
    if pages <= 0:
        return []
    count = max(1, min(lanes, pages // FEWEST_PAGES))
    tops = [top - pages * place // count for place in range(count)]
    bottoms = [*(lower + 1 for lower in tops[1:]), bottom]
    return [_Lane(high, low) for high, low in zip(tops, bottoms, strict=True)]
