"""The arrays that the plan consists of.

Links between records are places in the other record's arrays, -1 for none; ids come later.
"""

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
CHAT, E_MAIL_RECEIVED, TASK = range(3)
"""Kinds of `Traces`."""
ANONYMOUS = 0
NONE = -1
END_OF_TIME = 253_402_214_400
"""9999-12-31 in local seconds: what the portal prints where an activity has no deadline."""

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
    """Deals in the order of creation; `stage` and `moved` are those of the last visit.

    `planned` is the expected end, `advert` the variant of the advertisement behind `utm`.
    """

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
    planned: Seconds
    modified: Seconds
    utm: Ints
    advert: Ints
    region: Ints
    interest: Ints
    lead: Ints


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
class Leads:
    """Leads in the order of creation; `status` and `moved` are those of the last step.

    `closed` is `END_OF_TIME` while a lead is open. The names are places in the lists of names.
    """

    created: Seconds
    closed: Seconds
    status: Ints
    moved: Seconds
    modified: Seconds
    owner: Ints
    creator: Ints
    mover: Ints
    deal: Ints
    contact: Ints
    number: Ints
    source: Ints
    product: Ints
    amount: Ints
    utm: Ints
    advert: Ints
    region: Ints
    interest: Ints
    given: Ints
    surname: Ints
    has_chat: Mask
    has_e_mail: Mask
    is_return: Mask


@dataclass
class Steps:
    """Moves of leads or invoices, ordered by time; `stage` is a place in the dictionary."""

    owner: Ints
    stage: Ints
    entered: Seconds
    kind: Ints


@dataclass
class Items:
    """Smart invoices or items of the smart process, in the order of creation; whole roubles."""

    created: Seconds
    deal: Ints
    amount: Ints
    stage: Ints
    stage_before: Ints
    moved: Seconds
    creator: Ints
    mover: Ints
    due: Seconds


@dataclass
class ProductLines:
    """Rows of products by deal; prices in kopecks, `full_price` before the discount (per cent)."""

    deal: Ints
    place: Ints
    product: Ints
    quantity: Ints
    price: Ints
    full_price: Ints
    discount: Ints


@dataclass
class Assignments:
    """The portal's tasks, in the order of creation; bound to a deal or to a lead.

    `deadline` and `closed` are `END_OF_TIME` where there is none, `started` too.
    """

    created: Seconds
    deal: Ints
    lead: Ints
    title: Ints
    status: Ints
    creator: Ints
    responsible: Ints
    started: Seconds
    deadline: Seconds
    closed: Seconds
    changed: Seconds


@dataclass
class TaskEvents:
    """History of the portal's tasks, ordered by time; `before` and `after` by `field`.

    Statuses and user ids as they are, deadlines in local seconds, `NONE` for nothing.
    """

    time: Seconds
    task: Ints
    user: Ints
    field: Ints
    before: Seconds
    after: Seconds


@dataclass
class Comments:
    """Comments in the timelines of deals and leads, ordered by time.

    `number` is the one that the text tells, if it tells any.
    """

    created: Seconds
    deal: Ints
    lead: Ints
    author: Ints
    text: Ints
    number: Ints


@dataclass
class Traces:
    """Activities that came to the portal beside calls and `Tasks`, ordered by creation."""

    created: Seconds
    deal: Ints
    lead: Ints
    task: Ints
    kind: Ints
    responsible: Ints
    updated: Seconds
    deadline: Seconds
    is_done: Mask


@dataclass
class Bindings:
    """What call activities are bound to beside their owner, ordered by creation.

    `activity` is the place among the ids of activities, either `deal` or `lead` the other end.
    """

    created: Seconds
    activity: Ints
    deal: Ints
    lead: Ints


@dataclass
class Plan:
    """The whole company.

    Attributes:
        setting: the company's size, calendar and staff.
        history_order: visits by time: the order of stage history ids.
        activity_calls: calls that have an activity.
        activity_order: positions in these calls, then tasks, by time of creation.
        call_activity: for each call its place in `activity_order`, -1 without activity.
        requests: items of the smart process.
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
    leads: Leads
    lead_steps: Steps
    invoices: Items
    invoice_steps: Steps
    requests: Items
    product_lines: ProductLines
    assignments: Assignments
    task_events: TaskEvents
    comments: Comments
    traces: Traces
    bindings: Bindings


Columns = TypeVar(
    "Columns",
    Contacts,
    Deals,
    Visits,
    Calls,
    Tasks,
    Leads,
    Steps,
    Items,
    ProductLines,
    Assignments,
    TaskEvents,
    Comments,
    Traces,
    Bindings,
)


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
