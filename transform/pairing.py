"""Which row of the CRM and which row of the telephony are one call.

Every pair of rows of one group (connection, client's number, direction) whose starts lie within the
window is a candidate. Candidates are taken in this order, each if both of its rows are still free:
the smallest distance in whole seconds; of equal distances the row of the telephony that began no
earlier than the CRM's; the earliest row of the CRM; the lowest place in each system's own order.

Rows come sorted by group and second. Where more than the window lies between two of them, no pair
reaches across: they fall into chains, and most chains are one row alone or one row of each side.
Only the others are gone through. Taken literally that would be quadratic where one number calls
often: 100,000 calls of a line are 10¹⁰ pairs. But at one signed distance the rows of a second have
one second as their counterpart, and within two such seconds the order pairs first with first,
second with second. So the distances are gone through one by one, and each is a merge of two sorted
arrays. Before that go pairs that are each the other's best: no pair that comes before theirs has
either of the two rows, so they are taken whatever else is. On a busy line that is nearly all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WINDOW_SECONDS = 90
"""SPEC §2, calls: same phone, direction, start within 90 s."""

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Rows of both sides, sorted by group and second; of one second each side in its own order.

    Attributes:
        group: a number for connection, client and direction.
        second: the start in whole seconds since 1970.
        is_pbx: whether the row is the telephony's.
        key: what the row is called in the pairs.
    """

    group: Integers
    second: Integers
    is_pbx: Flags
    key: Integers

    def __len__(self) -> int:
        return len(self.group)

    def __getitem__(self, places: slice | Flags) -> Rows:
        return Rows(self.group[places], self.second[places], self.is_pbx[places], self.key[places])

    def __add__(self, later: Rows) -> Rows:
        return Rows(
            np.concatenate([self.group, later.group]),
            np.concatenate([self.second, later.second]),
            np.concatenate([self.is_pbx, later.is_pbx]),
            np.concatenate([self.key, later.key]),
        )


@dataclass(frozen=True)
class Pairs:
    """Pairs, place by place.

    Attributes:
        crm: keys of the CRM's rows.
        pbx: keys of the telephony's rows.
        distance: whole seconds between the two.
    """

    crm: Integers
    pbx: Integers
    distance: Integers


def pair(parts: Iterable[Rows], window: int = WINDOW_SECONDS) -> Iterator[Pairs]:
    """Pair rows one to one, the best match first.

    Args:
        parts: the rows, part by part; the parts together are sorted as `Rows` are. Of each part
            only what is in one chain with the next is kept.
        window: how many seconds the two may lie apart.

    Yields:
        The pairs that each part completes.
    """
    rest: Rows | None = None
    for part in parts:
        rows = part if rest is None else rest + part
        last = np.flatnonzero(_begins_chain(rows, window))[-1:]
        end = int(last[0]) if len(last) else 0
        if end:
            yield _paired(rows[:end], window)
        rest = rows[end:]
    if rest is not None:
        yield _paired(rest, window)


def _begins_chain(rows: Rows, window: int) -> Flags:
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (rows.group[1:] != rows.group[:-1]) | (rows.second[1:] - rows.second[:-1] > window)
    return begins


def _paired(rows: Rows, window: int) -> Pairs:
    if not len(rows):
        return Pairs(_none(), _none(), _none())
    begins = _begins_chain(rows, window)
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(rows))
    of_pbx = np.add.reduceat(rows.is_pbx, starts, dtype=np.int64)
    has_both = (of_pbx > 0) & (of_pbx < lengths)
    couples = starts[has_both & (lengths == 2)]
    is_pbx_first = rows.is_pbx[couples]
    in_chain = np.repeat(has_both & (lengths > 2), lengths)
    # On one line, with gaps between chains that no distance bridges.
    steps = np.diff(rows.second, prepend=0)
    steps[begins] = window + 1
    line, chained = np.cumsum(steps[in_chain]), rows[in_chain]
    crm, pbx = np.flatnonzero(~chained.is_pbx), np.flatnonzero(chained.is_pbx)
    of_crm, of_pbx, distance = _pair_on_line(line[crm], line[pbx], window)
    keys = chained.key
    return Pairs(
        np.concatenate([rows.key[couples + is_pbx_first], keys[crm[of_crm]]]),
        np.concatenate([rows.key[couples + ~is_pbx_first], keys[pbx[of_pbx]]]),
        np.concatenate([rows.second[couples + 1] - rows.second[couples], distance]),
    )


def _pair_on_line(crm: Integers, pbx: Integers, window: int) -> tuple[Integers, Integers, Integers]:
    """Places in two sorted arrays, pair by pair, and the distance of each pair."""
    crm_places, pbx_places = np.arange(len(crm)), np.arange(len(pbx))
    found = [(_none(), _none(), _none())]
    for _ in range(_ROUNDS):
        if not len(crm) or not len(pbx):
            break
        taken, gone = _mutual(crm, pbx, window)
        found.append((crm_places[taken], pbx_places[gone], np.abs(pbx[gone] - crm[taken])))
        pbx, pbx_places = np.delete(pbx, gone), np.delete(pbx_places, gone)
        crm, crm_places = np.delete(crm, taken), np.delete(crm_places, taken)
    for distance in _distances(window):
        if distance in _PRUNED_AT:
            keeps = _has_neighbour(crm, pbx, window)
            crm, crm_places = crm[keeps], crm_places[keeps]
            keeps = _has_neighbour(pbx, crm, window)
            pbx, pbx_places = pbx[keeps], pbx_places[keeps]
        if not len(crm) or not len(pbx):
            break
        wanted = crm + distance
        # The n-th row of a second takes the n-th of its counterpart.
        place = np.arange(len(crm)) - np.searchsorted(crm, crm)
        place += np.searchsorted(pbx, wanted)
        inside = place < len(pbx)
        taken = np.flatnonzero(inside)[pbx[place[inside]] == wanted[inside]]
        if not len(taken):
            continue
        gone = place[taken]
        far = np.full(len(taken), abs(distance), np.int64)
        found.append((crm_places[taken], pbx_places[gone], far))
        pbx, pbx_places = np.delete(pbx, gone), np.delete(pbx_places, gone)
        crm, crm_places = np.delete(crm, taken), np.delete(crm_places, taken)
    of_crm, of_pbx, distances = (np.concatenate(column) for column in zip(*found, strict=True))
    return of_crm, of_pbx, distances


def _mutual(crm: Integers, pbx: Integers, window: int) -> tuple[Integers, Integers]:
    """Places of the pairs of which each row is the other's best."""
    # At one distance the telephony's row that began no earlier goes first.
    later = np.searchsorted(pbx, crm)
    of_crm = _nearer(crm, pbx, later, is_later_first=True)
    earlier = np.searchsorted(crm, pbx, side="right")
    of_pbx = _nearer(pbx, crm, earlier, is_later_first=False)
    places = np.arange(len(crm))
    taken = np.flatnonzero((of_pbx[of_crm] == places) & (np.abs(pbx[of_crm] - crm) <= window))
    return taken, of_crm[taken]


def _nearer(ours: Integers, theirs: Integers, after: Integers, *, is_later_first: bool) -> Integers:
    """Of each of our rows the nearer of the two beside it, of a second the first row."""
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(theirs) - 1)
    to_before, to_after = np.abs(ours - theirs[before]), np.abs(theirs[after] - ours)
    is_after = to_after <= to_before if is_later_first else to_after < to_before
    return np.searchsorted(theirs, theirs[np.where(is_after, after, before)])


_ROUNDS = 2
"""Of pairs that are each the other's best; what they leave is little, or of one second."""

_PRUNED_AT = frozenset({0, 2, 5, 10, 30})
"""Most calls have their twin within a few seconds; what has no other row near it goes early."""


def _distances(window: int) -> Iterator[int]:
    yield 0
    for distance in range(1, window + 1):
        yield distance
        yield -distance


def _has_neighbour(ours: Integers, theirs: Integers, window: int) -> Flags:
    after = np.searchsorted(theirs, ours - window)
    return after < np.searchsorted(theirs, ours + window, side="right")


def _none() -> Integers:
    return np.empty(0, np.int64)
