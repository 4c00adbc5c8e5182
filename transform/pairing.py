"""Which row of the CRM and which row of the telephony are one call.

Every pair of rows of one group (connection, client's number, direction) whose starts lie within the
window is a candidate. Candidates are taken in this order, each if both of its rows are still free:
the smallest distance in whole seconds; of equal distances the row of the telephony that began no
earlier than the CRM's; the earliest row of the CRM; the lowest place in each system's own order.

Taken literally that is quadratic where one number calls often: 100,000 calls of a line are 10¹⁰
pairs. But at one signed distance the rows of a second have one second as their counterpart, and
within two such seconds the order pairs first with first, second with second. So the distances are
gone through one by one, and each is a merge of two sorted arrays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

WINDOW_SECONDS = 90
"""SPEC §2, calls: same phone, direction, start within 90 s."""

Integers = npt.NDArray[np.int64]


def pair(
    crm_group: Integers,
    crm_second: Integers,
    pbx_group: Integers,
    pbx_second: Integers,
    window: int = WINDOW_SECONDS,
) -> tuple[Integers, Integers]:
    """Pair rows one to one, the best match first.

    Args:
        crm_group: of each row of the CRM a number for its connection, client and direction.
        crm_second: its start in whole seconds since 1970.
        pbx_group: the same of the telephony's rows.
        pbx_second: the same of the telephony's rows.
        window: how many seconds the two may lie apart.
        The rows of each side stand in their system's own order.

    Returns:
        Positions in the arrays of the CRM and of the telephony, pair by pair.
    """
    if not len(crm_group) or not len(pbx_group):
        return _none(), _none()
    first = min(crm_second.min(), pbx_second.min()) - window
    # No distance leads from one group into the next.
    stride = max(crm_second.max(), pbx_second.max()) - first + 2 * window + 1
    crm, crm_places = _sorted(crm_group * stride + (crm_second - first))
    pbx, pbx_places = _sorted(pbx_group * stride + (pbx_second - first))
    crm_found, pbx_found = [_none()], [_none()]
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
        crm_found.append(crm_places[taken])
        pbx_found.append(pbx_places[place[taken]])
        is_free = np.ones(len(pbx), np.bool_)
        is_free[place[taken]] = False
        pbx, pbx_places = pbx[is_free], pbx_places[is_free]
        is_free = np.ones(len(crm), np.bool_)
        is_free[taken] = False
        crm, crm_places = crm[is_free], crm_places[is_free]
    return np.concatenate(crm_found), np.concatenate(pbx_found)


_PRUNED_AT = frozenset({0, 2, 5, 10, 30})
"""Most calls have their twin within a few seconds; what has no other row near it goes early."""


def _distances(window: int) -> Iterator[int]:
    yield 0
    for distance in range(1, window + 1):
        yield distance
        yield -distance


def _sorted(keys: Integers) -> tuple[Integers, Integers]:
    places = np.argsort(keys, kind="stable")
    return keys[places], places


def _has_neighbour(ours: Integers, theirs: Integers, window: int) -> npt.NDArray[np.bool_]:
    after = np.searchsorted(theirs, ours - window)
    return after < np.searchsorted(theirs, ours + window, side="right")


def _none() -> Integers:
    return np.empty(0, np.int64)
