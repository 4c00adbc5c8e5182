"""Ids that grow with time and leave room for planted records.

Records of the company itself have multiples of `STRIDE`; between two of them every planted
trouble has one id of its own. So planted records stand at their moment too, and a trouble taken
away moves no other id.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sources.demo.generator.rhythm import Seconds

STRIDE = 16
"""At most 15 troubles: one slot each."""


class IdSpace:
    """The ids of one entity.

    Args:
        times: when the company's own records came to be, ascending.
        first: added to all ids.
    """

    def __init__(self, times: Seconds, first: int = 0) -> None:
        self._times = times
        self._first = first

    def own(self, places: npt.NDArray[np.int64] | npt.NDArray[np.int32]) -> Seconds:
        """Ids of the company's own records by their place in time."""
        return self._first + STRIDE * (places.astype(np.int64) + 1)

    def planted(self, slot: int, times: Seconds) -> list[int]:
        """Ids of one trouble's records, given all their times, ascending.

        Records of one trouble between the same two of the company move on to the next free room,
        so the ids ascend like the times.
        """
        ids: list[int] = []
        room = -1
        for before in np.searchsorted(self._times, times, side="right"):
            room = max(room + 1, int(before))
            ids.append(self._first + STRIDE * room + slot)
        return ids


def crossing(times: Seconds, moment: int) -> int:
    """`first` of an id space in which ids get one more digit right after the moment.

    The trouble whose first record stands at the moment has its second one beyond 10, 100, 1,000…
    """
    before = int(np.searchsorted(times, moment, side="right"))
    beyond = STRIDE * (before + 1)
    return int(10 ** len(str(beyond)) - beyond)
