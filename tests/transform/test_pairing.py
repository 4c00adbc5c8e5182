"""Pairing rows of CRM and telephony, against the rule taken literally."""

from __future__ import annotations

import random

import numpy as np
import pytest

from transform.pairing import WINDOW_SECONDS, Rows, pair

Row = tuple[int, int]
"""Group and second."""


def literally(crm: list[Row], pbx: list[Row], window: int) -> set[tuple[int, int]]:
    """Every candidate in the order of the rule, taken if both are free."""
    candidates = sorted(
        (abs(late - early), late < early, early, place, other)
        for place, (group, early) in enumerate(crm)
        for other, (its_group, late) in enumerate(pbx)
        if group == its_group and abs(late - early) <= window
    )
    free_crm, free_pbx = set(range(len(crm))), set(range(len(pbx)))
    taken = set()
    for *_, place, other in candidates:
        if place in free_crm and other in free_pbx:
            free_crm.remove(place)
            free_pbx.remove(other)
            taken.add((place, other))
    return taken


def paired(
    crm: list[Row], pbx: list[Row], window: int = WINDOW_SECONDS, part: int = 1000
) -> set[tuple[int, int]]:
    sides = [(row, False, place) for place, row in enumerate(crm)]
    sides += [(row, True, place) for place, row in enumerate(pbx)]
    sides.sort()
    rows = Rows(
        np.array([row[0] for row, *_ in sides], np.int64),
        np.array([row[1] for row, *_ in sides], np.int64),
        np.array([is_pbx for _, is_pbx, _ in sides], np.bool_),
        np.array([place for *_, place in sides], np.int64),
    )
    parts = (rows[first : first + part] for first in range(0, len(rows), part))
    found = [
        pair_found
        for one in pair(parts, window)
        for pair_found in zip(
            one.crm.tolist(), one.pbx.tolist(), one.distance.tolist(), strict=True
        )
    ]
    assert all(abs(crm[ours][1] - pbx[theirs][1]) == far for ours, theirs, far in found)
    pairs = [(ours, theirs) for ours, theirs, _ in found]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@pytest.mark.parametrize(
    ("crm", "pbx", "expected"),
    [
        ([], [(1, 0)], set()),
        ([(1, 0)], [(1, 90)], {(0, 0)}),
        ([(1, 0)], [(1, 91)], set()),
        ([(1, 0)], [(2, 0)], set()),
        # The nearest wins, whichever came first.
        ([(1, 0), (1, 60)], [(1, 62)], {(1, 0)}),
        # Of two equally far, the one that began no earlier than the CRM's row.
        ([(1, 100)], [(1, 95), (1, 105)], {(0, 1)}),
        # A second call of the same second goes with the second one.
        ([(1, 5), (1, 5)], [(1, 5), (1, 5), (1, 5)], {(0, 0), (1, 1)}),
        # The best match of all comes first: the first row goes without.
        ([(1, 0), (1, 50)], [(1, 51)], {(1, 0)}),
    ],
)
def test_the_best_match_comes_first(
    crm: list[Row], pbx: list[Row], expected: set[tuple[int, int]]
) -> None:
    assert paired(crm, pbx) == expected


def test_random_mixtures_are_paired_as_the_rule_says() -> None:
    chance = random.Random(7)
    for _ in range(1000):
        span = chance.choice((3, 30, 200, 2000))
        window = chance.choice((0, 1, 5, 90))

        def rows(span: int = span) -> list[Row]:
            count = chance.randrange(25)
            return [(chance.randrange(3), chance.randrange(span)) for _ in range(count)]

        crm, pbx = rows(), rows()
        part = chance.choice((1, 2, 7, 100))
        assert paired(crm, pbx, window, part) == literally(crm, pbx, window)


def test_times_before_1970_and_far_apart_do_not_mix_groups() -> None:
    crm = [(0, -(10**9)), (1, 10**9), (2, 0)]
    pbx = [(0, 10**9), (1, 10**9 - 1), (2, -1)]
    assert paired(crm, pbx) == {(1, 1), (2, 2)}


def test_a_line_with_very_many_calls_is_no_quadratic_work() -> None:
    many = 100_000
    crm = [(0, 0)] * many
    pbx = [(0, 7)] * many
    assert len(paired(crm, pbx)) == many
