"""The arrays that the plan consists of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sources.demo.generator.people import Staff
from sources.demo.generator.pipelines import SOURCE_IDS, STAGES
from sources.demo.generator.rhythm import DAY, HOUR, Rhythm, Seconds
from sources.demo.generator.sizes import CompanySize

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[Any]

OUTGOING, INCOMING, REDIRECTED, CALLBACK, INFORMATIONAL = range(1, 6)
FAILED_CODES = ("200", "304", "603", "603-S", "486", "480", "404", "484")
ANSWERED, MISSED = 0, 1
UNBOUND, CLIENT_ONLY, ACTIVITY_OF_CLIENT, ACTIVITY_OF_DEAL = range(4)
TODO, E_MAIL, MEETING = range(3)
ANONYMOUS = 0

CALL_SOURCE = SOURCE_IDS.index("CALL")
ONLINE_SOURCES = (SOURCE_IDS.index("WEB"), SOURCE_IDS.index("ADVERTISING"))
IS_FINAL = np.array([stage.semantics != "P" for stage in STAGES])
IS_WON = np.array([stage.semantics == "S" for stage in STAGES])


@dataclass(frozen=True)
class Setting:
    """Where and when the company works.

    Attributes:
        edges: start of each chunk and, last, the clock; local seconds.
        weights: how busy each chunk is.
    """

    size: CompanySize
    seed: int
    clock: int
    edges: Seconds
    rhythm: Rhythm
    staff: Staff
    weights: Floats

    def days_of(self, chunk: int) -> tuple[int, int]:
        """First day of a chunk and the one after its last, as numbers since 1970."""
        return int(self.edges[chunk]) // DAY, (int(self.edges[chunk + 1]) - 1) // DAY + 1

    def not_too_late(self, rng: np.random.Generator, times: Seconds, margin: int) -> Seconds:
        """Times after the clock, less the margin, become times of the clock's day."""
        last = self.clock - margin
        redrawn = rng.integers(last - 9 * HOUR, last, size=len(times))
        return np.where(times > last, redrawn, times)


@dataclass
class Contacts:
    """Clients in the order of creation. `company` is 0 without one, `second` 0 without a number."""

    created: Seconds
    owner: Ints
    source: Ints
    company: Ints
    number: Ints
    second: Ints


@dataclass
class Deals:
    """Deals in the order of creation; `stage` and `moved` are those of the last visit."""

    created: Seconds
    category: Ints
    owner: Ints
    creator: Ints
    mover: Ints
    contact: Ints
    source: Ints
    product: Ints
    grade: Ints
    amount: Ints
    first_visit: Ints
    stage: Ints
    moved: Seconds
    last_activity: Seconds
    is_repeat: Mask


@dataclass
class Visits:
    """Stage visits, ordered by deal and time; `left` of a deal's last one is the clock."""

    deal: Ints
    stage: Ints
    entered: Seconds
    left: Seconds
    kind: Ints


@dataclass
class Calls:
    """Calls in the order of their end, which is the order in which telephony writes them."""

    start: Seconds
    seconds: Ints
    talker: Ints
    contact: Ints
    deal: Ints
    category: Ints
    kind: Ints
    code: Ints
    number: Ints
    binding: Ints
    names_company: Mask


@dataclass
class Tasks:
    """Activities that are no calls."""

    created: Seconds
    deal: Ints
    kind: Ints
    deadline: Seconds
    updated: Seconds
    is_done: Mask


@dataclass
class Plan:
    """The whole company.

    Attributes:
        setting: the company's size, calendar and staff.
        history_order: visits by time: the order of stage history ids.
        activity_calls: calls that have an activity.
        activity_order: positions in these calls, then tasks, by time of creation.
        call_activity: for each call its place in `activity_order`, -1 without activity.
    """

    setting: Setting
    contacts: Contacts
    deals: Deals
    visits: Visits
    calls: Calls
    tasks: Tasks
    history_order: Ints
    activity_calls: Ints
    activity_order: Ints
    activity_times: Seconds
    call_activity: Ints


Columns = TypeVar("Columns", Contacts, Deals, Visits, Calls, Tasks)


def concatenated(parts: list[Columns]) -> Columns:
    """The parts' arrays one after the other."""
    kind = type(parts[0])
    return kind(
        **{
            column.name: np.concatenate([getattr(part, column.name) for part in parts])
            for column in fields(kind)
        }
    )


def taken(columns: Columns, order: Ints) -> Columns:
    """The arrays at the given places."""
    kind = type(columns)
    return kind(**{column.name: getattr(columns, column.name)[order] for column in fields(kind)})
