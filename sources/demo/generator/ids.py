"""Ids that grow with time and leave room for planted records.

Records of the company itself have multiples of `STRIDE`; between two of them every planted
trouble has one id of its own. So planted records stand at their moment too, and a trouble taken
away moves no other id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sources.demo.generator.records import Plan
from sources.demo.generator.rhythm import Seconds

STRIDE = 32
"""At most 31 troubles: one slot each."""

LAST_SLOT = STRIDE - 1
"""Shared where the company has further records of its own: see `IdSpace.further`."""


class IdSpace:
    """The ids of one entity.

    Args:
        times: when the company's own records came to be, ascending.
        first: added to all ids.
        further: when records that must not move these ids came to be, ascending.
    """

    def __init__(self, times: Seconds, first: int = 0, further: Seconds | None = None) -> None:
        self._times = times
        self._first = first
        self._further: Seconds | None = None
        if further is not None:
            order = np.arange(len(further))
            pair = (np.searchsorted(times, further, side="right") + 1) // 2
            room = 2 * (np.maximum.accumulate(pair - order) + order)
            self._further = np.asarray(first + STRIDE * room + LAST_SLOT)

    def own(self, places: npt.NDArray[np.int64] | npt.NDArray[np.int32]) -> Seconds:
        """Ids of the company's own records by their place in time."""
        return self._first + STRIDE * (places.astype(np.int64) + 1)

    def further(self, places: npt.NDArray[np.int64]) -> Seconds:
        """Ids of the further records by their place in time: the last slot of even rooms.

        Raises:
            ValueError: the space has no further records.
        """
        if self._further is None:
            raise ValueError("this id space was made without further records")
        return self._further[places]

    def planted(self, slot: int, times: Seconds) -> list[int]:
        """Ids of one trouble's records, given all their times, ascending.

        Records of one trouble between the same two of the company move on to the next free room,
        so the ids ascend like the times.
        """
        ids: list[int] = []
        room = -1
        is_shared = slot == LAST_SLOT and self._further is not None
        for before in np.searchsorted(self._times, times, side="right"):
            room = max(room + 1, int(before))
            if is_shared:
                room |= 1
            ids.append(self._first + STRIDE * room + slot)
        return ids


def crossing(times: Seconds, moment: int) -> int:
    """`first` of an id space in which ids get one more digit right after the moment.

    The trouble whose first record stands at the moment has its second one beyond 10, 100, 1,000…
    """
    before = int(np.searchsorted(times, moment, side="right"))
    beyond = STRIDE * (before + 1)
    return int(10 ** len(str(beyond)) - beyond)


@dataclass(frozen=True)
class Spaces:
    """The id spaces of the entities whose ids grow with time."""

    contact: IdSpace
    deal: IdSpace
    stage_history: IdSpace
    activity: IdSpace
    call: IdSpace
    lead: IdSpace
    lead_stage_history: IdSpace
    invoice: IdSpace
    invoice_stage_history: IdSpace
    smart_item: IdSpace
    product_row: IdSpace
    task: IdSpace
    task_history: IdSpace
    timeline_comment: IdSpace
    binding: IdSpace


def id_spaces(plan: Plan, digits_grow_at: int) -> Spaces:
    """The plan's id spaces; deal ids get one more digit at the given moment (local seconds)."""
    return Spaces(
        contact=IdSpace(plan.contacts.created),
        deal=IdSpace(plan.deals.created, crossing(plan.deals.created, digits_grow_at)),
        stage_history=IdSpace(plan.visits.entered[plan.history_order]),
        activity=IdSpace(plan.activity_times, further=plan.traces.created),
        call=IdSpace(plan.calls.start + plan.calls.seconds),
        lead=IdSpace(plan.leads.created),
        lead_stage_history=IdSpace(plan.lead_steps.entered),
        invoice=IdSpace(plan.invoices.created),
        invoice_stage_history=IdSpace(plan.invoice_steps.entered),
        smart_item=IdSpace(plan.requests.created),
        product_row=IdSpace(plan.deals.created[plan.product_lines.deal]),
        task=IdSpace(plan.assignments.created),
        task_history=IdSpace(plan.task_events.time),
        timeline_comment=IdSpace(plan.comments.created),
        binding=IdSpace(plan.bindings.created),
    )
