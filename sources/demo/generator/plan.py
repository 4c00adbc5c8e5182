"""What happens in the invented company, as compact arrays without any text.

Everything is drawn per chunk (a calendar month of deal creation) from streams of its own, then
kept whole: 10 million calls are 0.4 GB here, and ids can follow time over the whole history. The
texts come later, chunk by chunk (`frames`).

No trouble is planted here; what is natural (missed calls, stale cards, steps back, several open
deals of one client) is.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sources.demo.generator import names
from sources.demo.generator.people import Staff, hire
from sources.demo.generator.pipelines import (
    OLD_SALES,
    PIPELINES,
    SALES,
    SETTER,
    SOURCE_IDS,
    STAGE_CODE,
    STAGES,
    WHOLESALE,
)
from sources.demo.generator.rhythm import (
    CLOCK,
    DAY,
    HOUR,
    Rhythm,
    Seconds,
    day_number,
    local_seconds,
    time_of_day,
)
from sources.demo.generator.sizes import CompanySize
from sources.demo.generator.streams import apportion, stream

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[Any]

OUTGOING, INCOMING, REDIRECTED, CALLBACK, INFORMATIONAL = range(1, 6)
FAILED_CODES = ("200", "304", "603", "603-S", "486", "480", "404", "484")
ANSWERED, MISSED = 0, 1
UNBOUND, CLIENT_ONLY, ACTIVITY_OF_CLIENT, ACTIVITY_OF_DEAL = range(4)
TODO, E_MAIL, MEETING = range(3)
ANONYMOUS = 0

# Shares of fates; what is still under way at the clock turns part of them into open deals.
_WON_FATE, _LOST_FATE = 0.29, 0.445
_WON_FACTOR = dict(enumerate((0.9, 0.8, 1.1, 1.5, 0.8)))
_STEP_BACK_SHARE = 0.05
_OLD_PIPELINE_MONTHS = 7
"""The old pipeline gets no new deals in so many last calendar months."""

_STRANGER_SHARE = 0.09
_FOLLOW_UP_SHARE = 0.04
_GAP_SECONDS = 20
"""A talker's next call starts at least this long after the one before: base employees never have
two calls at once, so that overlapping calls are the planted ones."""

_LAST_CALL = 900
_LAST_DEAL = 600

_SOURCE_SHARES = np.array(
    [
        [0.28, 0.30, 0.18, 0.10, 0.03, 0.08, 0.03],
        [0.22, 0.20, 0.08, 0.14, 0.16, 0.18, 0.02],
        [0.18, 0.36, 0.30, 0.06, 0.04, 0.02, 0.04],
        [0.55, 0.20, 0.00, 0.02, 0.00, 0.20, 0.03],
        [0.30, 0.28, 0.20, 0.10, 0.03, 0.06, 0.03],
    ]
)
_CALL_SOURCE = SOURCE_IDS.index("CALL")
_ONLINE_SOURCES = [SOURCE_IDS.index("WEB"), SOURCE_IDS.index("ADVERTISING")]


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
        edges: start of each chunk and, last, the clock; local seconds.
        history_order: visits by time: the order of stage history ids.
        activity_order: positions in calls with activity, then tasks, by time of creation.
        call_activity: for each call its place in `activity_order`, -1 without activity.
    """

    size: CompanySize
    seed: int
    clock: int
    edges: Seconds
    rhythm: Rhythm
    staff: Staff
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


def make_plan(size: CompanySize, seed: int) -> Plan:
    """Draw the company, planted troubles apart."""
    clock = local_seconds(CLOCK)
    edges = _month_edges(size.months, clock)
    first_day = dt.date(1970, 1, 1) + dt.timedelta(days=int(edges[0]) // DAY)
    rhythm = Rhythm(first_day - dt.timedelta(days=400), CLOCK.date() + dt.timedelta(days=400))
    staff = hire(size.employees, seed, int(edges[0]), clock)
    weights = _month_weights(rhythm, edges)
    maker = _Maker(size, seed, clock, edges, rhythm, staff, weights)
    contacts, deals, visits = maker.contacts_and_deals()
    calls = maker.calls(contacts, deals, visits)
    tasks = maker.tasks(deals, visits)
    activity_calls = np.flatnonzero(calls.binding >= ACTIVITY_OF_CLIENT).astype(np.int32)
    created = np.concatenate([calls.start[activity_calls], tasks.created])
    activity_order = np.argsort(created, kind="stable").astype(np.int32)
    place = np.empty(len(created), dtype=np.int32)
    place[activity_order] = np.arange(len(created), dtype=np.int32)
    call_activity = np.full(len(calls.start), -1, dtype=np.int32)
    call_activity[activity_calls] = place[: len(activity_calls)]
    _touch_deals(deals, calls, tasks)
    return Plan(
        size=size,
        seed=seed,
        clock=clock,
        edges=edges,
        rhythm=rhythm,
        staff=staff,
        contacts=contacts,
        deals=deals,
        visits=visits,
        calls=calls,
        tasks=tasks,
        history_order=np.argsort(visits.entered, kind="stable").astype(np.int32),
        activity_calls=activity_calls,
        activity_order=activity_order,
        activity_times=created[activity_order],
        call_activity=call_activity,
    )


def _month_edges(months: int, clock: int) -> Seconds:
    last = CLOCK.date().replace(day=1)
    number = last.year * 12 + last.month - 1
    starts = [
        day_number(dt.date((number - back) // 12, (number - back) % 12 + 1, 1)) * DAY
        for back in range(months - 1, -1, -1)
    ]
    return np.array([*starts, clock], dtype=np.int64)


def _month_weights(rhythm: Rhythm, edges: Seconds) -> Floats:
    """Working days, a slow growth over the history, a dip in summer."""
    weights = []
    for month, (low, high) in enumerate(zip(edges[:-1] // DAY, edges[1:] // DAY + 1, strict=True)):
        days = np.arange(low, high)
        working = float(rhythm.is_working(days).sum())
        season = 0.85 if dt.date.fromordinal(int(low) + 719_163).month in (1, 7, 8) else 1.0
        weights.append(working * season * (1 + 0.5 * month / len(edges)))
    return np.array(weights)


def _concatenate(parts: list[Columns]) -> Columns:
    kind = type(parts[0])
    return kind(
        **{
            column.name: np.concatenate([getattr(part, column.name) for part in parts])
            for column in fields(kind)
        }
    )


def _taken(columns: Columns, order: Ints) -> Columns:
    kind = type(columns)
    return kind(**{column.name: getattr(columns, column.name)[order] for column in fields(kind)})


def _touch_deals(deals: Deals, calls: Calls, tasks: Tasks) -> None:
    bound = calls.binding == ACTIVITY_OF_DEAL
    np.maximum.at(deals.last_activity, calls.deal[bound], calls.start[bound] + calls.seconds[bound])
    np.maximum.at(deals.last_activity, tasks.deal, tasks.updated)


@dataclass
class _Maker:
    size: CompanySize
    seed: int
    clock: int
    edges: Seconds
    rhythm: Rhythm
    staff: Staff
    weights: Floats

    def contacts_and_deals(self) -> tuple[Contacts, Deals, Visits]:
        deal_counts = apportion(self.size.deals, self.weights)
        contact_counts = apportion(self.size.contacts, self.weights)
        deal_parts: list[Deals] = []
        visit_parts: list[Visits] = []
        lone: list[Seconds] = []
        contacts_before = deals_before = visits_before = 0
        for chunk, (deal_count, contact_count) in enumerate(
            zip(deal_counts, contact_counts, strict=True)
        ):
            deals, visits = self._deals(chunk, deal_count)
            deals.contact = self._clients(chunk, deal_count, contact_count, contacts_before)
            deals.first_visit += visits_before
            visits.deal += deals_before
            lone.append(self._lone_contacts(chunk, contact_count))
            deal_parts.append(deals)
            visit_parts.append(visits)
            contacts_before += contact_count
            deals_before += deal_count
            visits_before += len(visits.deal)
        deals = _concatenate(deal_parts)
        visits = _concatenate(visit_parts)
        contacts = self._contacts(deals, np.concatenate(lone))
        deals.is_repeat = _repeats(deals)
        return contacts, deals, visits

    def _deals(self, chunk: int, count: int) -> tuple[Deals, Visits]:
        rng = stream(self.seed, "deals", chunk)
        shares = np.array([pipeline.share for pipeline in PIPELINES])
        if chunk >= self.size.months - _OLD_PIPELINE_MONTHS:
            shares[OLD_SALES] = 0.0
        else:
            # The new pipeline was still being introduced: the old one had much of the sales.
            shares[SALES] -= 0.08
        category = rng.choice(len(PIPELINES), size=count, p=shares / shares.sum())
        source = _choose_rows(rng, _SOURCE_SHARES, category)
        created = self._creation_times(rng, chunk, source)
        by_time = np.argsort(created, kind="stable")
        created, category, source = created[by_time], category[by_time], source[by_time]
        owner = self._owners(rng, category)
        online = np.isin(source, _ONLINE_SOURCES)
        by_robot = online | ((source == _CALL_SOURCE) & (rng.random(count) < 0.5))
        creator = np.where(by_robot, self.staff.robot, owner)
        product = rng.integers(0, len(names.PRODUCTS), size=count)
        grade = rng.choice(4, size=count, p=[0.2, 0.35, 0.3, 0.15])
        visits, first, last = self._lives(rng, created, category)
        stage = visits.stage[last]
        who = rng.random(count)
        heads = np.array([self.staff.heads[p.category_id] for p in PIPELINES])
        mover = np.where(
            last == first,
            creator,
            np.where(who < 0.82, owner, np.where(who < 0.88, heads[category], self.staff.robot)),
        )
        deals = Deals(
            created=created,
            category=category.astype(np.int8),
            owner=owner.astype(np.int32),
            creator=creator.astype(np.int32),
            mover=mover.astype(np.int32),
            contact=np.empty(0, dtype=np.int32),
            source=source.astype(np.int8),
            product=product.astype(np.int8),
            grade=grade.astype(np.int8),
            amount=_amounts(rng, category, product, stage),
            first_visit=first.astype(np.int32),
            stage=stage,
            moved=visits.entered[last],
            last_activity=created.copy(),
            is_repeat=np.zeros(count, dtype=bool),
        )
        return deals, visits

    def _creation_times(self, rng: np.random.Generator, chunk: int, source: Ints) -> Seconds:
        low, high = int(self.edges[chunk]), int(self.edges[chunk + 1])
        count = len(source)
        last_day = (high - 1) // DAY
        days = self.rhythm.pick_days(rng, low // DAY, last_day + 1, count)
        # Forms on the site are filled in at any waking hour, and on days off too.
        online = np.isin(source, _ONLINE_SOURCES)
        any_day = rng.integers(low // DAY, last_day + 1, size=count)
        at_leisure = online & (rng.random(count) < 0.4)
        times = np.where(at_leisure, any_day, days) * DAY + np.where(
            online,
            rng.integers(7 * HOUR, 24 * HOUR, size=count),
            time_of_day(rng, count),
        )
        return self._not_too_late(rng, times, _LAST_DEAL)

    def _not_too_late(self, rng: np.random.Generator, times: Seconds, margin: int) -> Seconds:
        """Times after the clock become times of the clock's day."""
        last = self.clock - margin
        redrawn = rng.integers(last - 9 * HOUR, last, size=len(times))
        return np.where(times > last, redrawn, times)

    def _owners(self, rng: np.random.Generator, category: Ints) -> Ints:
        owner = np.empty(len(category), dtype=np.int64)
        for number, sellers in self.staff.sellers.items():
            chosen = np.flatnonzero(category == number)
            # Sellers differ; the ratio of the busiest to the calmest is about two.
            skill = stream(self.seed, "skill", number).uniform(0.7, 1.4, size=len(sellers))
            owner[chosen] = rng.choice(sellers, size=len(chosen), p=skill / skill.sum())
        return owner

    def _lives(
        self, rng: np.random.Generator, created: Seconds, category: Ints
    ) -> tuple[Visits, Ints, Ints]:
        """Stage visits of the deals; also the positions of each deal's first and last visit."""
        count = len(created)
        fate = rng.random(count)
        won_share = _WON_FATE * np.array([_WON_FACTOR[c] for c in range(len(PIPELINES))])[category]
        is_won = fate < won_share
        is_lost = (fate >= won_share) & (fate < won_share + _LOST_FATE)
        pace = rng.lognormal(0.0, 0.5, size=count)
        steps = _Steps()
        for pipeline in PIPELINES:
            chosen = np.flatnonzero(category == pipeline.category_id)
            stages = pipeline.open_stages
            codes = np.array([STAGE_CODE[stage.stage_id] for stage in stages])
            positions = np.arange(len(stages))
            losses = np.array([stage.loss_weight for stage in stages])
            furthest = np.where(
                is_won[chosen],
                len(stages) - 1,
                rng.choice(len(stages), size=len(chosen), p=losses / losses.sum()),
            )
            shape = (len(chosen), len(stages))
            visited = (positions <= furthest[:, None]) & (
                (rng.random(shape) >= np.array([stage.skip_share for stage in stages]))
                | (positions == furthest[:, None])
            )
            medians = np.array([stage.median_days for stage in stages]) * DAY
            stays = rng.lognormal(0.0, 0.9, size=shape) * medians * pace[chosen, None]
            deal, position = np.nonzero(visited)
            steps.add(chosen[deal], position * 4, codes[position], stays[deal, position])
            # A step back to the last visited stage, and forward again.
            before = np.where(visited & (positions < furthest[:, None]), positions, -1).max(
                axis=1, initial=-1
            )
            back = np.flatnonzero((rng.random(len(chosen)) < _STEP_BACK_SHARE) & (before >= 0))
            for further, stage in ((1, before[back]), (2, furthest[back])):
                stay = rng.lognormal(0.0, 0.9, size=len(back)) * medians[stage]
                steps.add(chosen[back], furthest[back] * 4 + further, codes[stage], stay)
            lost_codes = np.array([STAGE_CODE[s.stage_id] for s in pipeline.lost_stages])
            lost_weights = np.array([stage.loss_weight for stage in pipeline.lost_stages])
            final = np.where(
                is_won[chosen],
                STAGE_CODE[pipeline.won_stage.stage_id],
                rng.choice(lost_codes, size=len(chosen), p=lost_weights / lost_weights.sum()),
            )
            closed = np.flatnonzero(is_won[chosen] | is_lost[chosen])
            steps.add(
                chosen[closed], np.full(len(closed), 99), final[closed], np.zeros(len(closed))
            )
        return self._dated(rng, created, steps)

    def _dated(
        self, rng: np.random.Generator, created: Seconds, steps: _Steps
    ) -> tuple[Visits, Ints, Ints]:
        deal, stage, stay = steps.ordered()
        is_first = np.r_[True, deal[1:] != deal[:-1]]
        start = np.flatnonzero(is_first)
        before = np.r_[0, np.cumsum(stay)[:-1]]
        entered = created[deal] + (
            before - np.repeat(before[start], np.diff(np.r_[start, len(deal)]))
        )
        # Most moves are made in working hours; integrations and night owls make the others.
        moved = np.flatnonzero(~is_first & (rng.random(len(deal)) < 0.95))
        entered[moved] = self.rhythm.snap_forward(rng, entered[moved].clip(max=self.clock + DAY))
        # Never back in time: at least 90 seconds on every stage.
        pace = 90 * np.arange(len(deal))
        far = deal.astype(np.int64) * 10**11
        entered = np.maximum.accumulate(entered + far - pace) - far + pace
        happened = is_first | (entered <= self.clock - 120)
        deal, stage, entered = deal[happened], stage[happened], entered[happened]
        is_first = np.r_[True, deal[1:] != deal[:-1]]
        is_last = np.r_[is_first[1:], True]
        left = np.where(is_last, self.clock, np.r_[entered[1:], 0])
        is_final = np.array([s.semantics != "P" for s in STAGES])[stage]
        visits = Visits(
            deal=deal.astype(np.int32),
            stage=stage.astype(np.int8),
            entered=entered,
            left=left,
            kind=np.where(is_first, 1, np.where(is_final, 3, 2)).astype(np.int8),
        )
        return visits, np.flatnonzero(is_first), np.flatnonzero(is_last)

    def _clients(self, chunk: int, deal_count: int, contact_count: int, before: int) -> Ints:
        """Contact of each deal: every new contact gets one, the other deals go to older ones."""
        rng = stream(self.seed, "clients", chunk)
        shuffled = rng.permutation(deal_count)
        new = min(deal_count, contact_count)
        client = np.empty(deal_count, dtype=np.int32)
        client[shuffled[:new]] = before + np.arange(new)
        pool = before or new
        # The squared draw favours recent contacts: clients come back sooner rather than later.
        back = (rng.random(deal_count - new) ** 2 * pool).astype(np.int32)
        client[shuffled[new:]] = pool - 1 - back
        return client

    def _lone_contacts(self, chunk: int, count: int) -> Seconds:
        """When contacts without any deal were created."""
        rng = stream(self.seed, "lone contacts", chunk)
        low, high = int(self.edges[chunk]) // DAY, (int(self.edges[chunk + 1]) - 1) // DAY + 1
        times = self.rhythm.pick_days(rng, low, high, count) * DAY + time_of_day(rng, count)
        return self._not_too_late(rng, times, _LAST_DEAL)

    def _contacts(self, deals: Deals, lone: Seconds) -> Contacts:
        rng = stream(self.seed, "contacts")
        count = len(lone)
        never = np.iinfo(np.int64).max
        created = np.full(count, never)
        np.minimum.at(created, deals.contact, deals.created)
        has_deal = created != never
        created = np.where(has_deal, created - rng.integers(2, 90, size=count), lone)
        by_time = np.argsort(created, kind="stable")
        place = np.empty(count, dtype=np.int32)
        place[by_time] = np.arange(count, dtype=np.int32)
        deals.contact = place[deals.contact]
        first_deal = np.full(count, -1)
        # Backwards, so that the earliest deal is the one that stays.
        first_deal[deals.contact[::-1]] = np.arange(len(deals.contact))[::-1]
        with_deal = first_deal >= 0
        owner = rng.choice(self.staff.sellers[SALES], size=count).astype(np.int32)
        owner[with_deal] = deals.owner[first_deal[with_deal]]
        source = rng.integers(0, len(SOURCE_IDS), size=count).astype(np.int8)
        source[with_deal] = deals.source[first_deal[with_deal]]
        is_wholesale = with_deal & (deals.category[first_deal] == WHOLESALE)
        has_company = rng.random(count) < np.where(is_wholesale, 0.6, 0.1)
        number = names.CONTACT_NUMBERS + np.arange(count, dtype=np.int64) * 7_919 % 10_000_000
        second = names.CONTACT_NUMBERS + (
            (np.arange(count, dtype=np.int64) + 5_000_000) * 7_919 % 10_000_000
        )
        shares = np.flatnonzero(rng.random(count) < 0.006)
        shares = shares[shares > 0]
        number[shares] = number[shares - 1]
        return Contacts(
            created=created[by_time],
            owner=owner,
            source=source,
            company=np.where(has_company, 2 * np.arange(count) + 101, 0),
            number=number,
            second=np.where(rng.random(count) < 0.08, second, 0),
        )

    def calls(self, contacts: Contacts, deals: Deals, visits: Visits) -> Calls:
        total = self.size.calls - self.size.heavy_calls
        intensity, span = self._intensity(deals, visits)
        visit_edges = np.searchsorted(deals.created, self.edges)
        visit_edges = np.r_[deals.first_visit, len(visits.deal)][visit_edges]
        visit_edges[0], visit_edges[-1] = 0, len(visits.deal)
        openers = self._openers(deals)
        strangers = round(total * _STRANGER_SHARE)
        follow_ups = round(total * _FOLLOW_UP_SHARE)
        openers = openers[: max(0, total - strangers - follow_ups)]
        body = total - strangers - follow_ups - len(openers)
        chunk_sums = [
            float(intensity[low:high].sum()) for low, high in itertools.pairwise(visit_edges)
        ]
        parts: list[Calls] = []
        opener_edges = np.searchsorted(deals.created[openers], self.edges)
        opener_edges[0], opener_edges[-1] = 0, len(openers)
        shares = zip(
            apportion(body, chunk_sums),
            apportion(strangers, self.weights),
            apportion(follow_ups, self.weights),
            strict=True,
        )
        for chunk, (body_count, stranger_count, follow_up_count) in enumerate(shares):
            rng = stream(self.seed, "calls", chunk)
            low, high = visit_edges[chunk], visit_edges[chunk + 1]
            summed = np.cumsum(intensity[low:high])
            chosen = low + np.searchsorted(
                summed, rng.random(body_count) * (summed[-1] if len(summed) else 0), side="right"
            )
            known = self._known_calls(rng, contacts, deals, visits, chosen, span)
            first = openers[opener_edges[chunk] : opener_edges[chunk + 1]]
            opening = self._opening_calls(
                stream(self.seed, "openers", chunk), contacts, deals, first
            )
            unknown = self._stranger_calls(
                stream(self.seed, "strangers", chunk), chunk, stranger_count
            )
            parts += [known, opening, unknown]
            parts.append(
                self._follow_ups(stream(self.seed, "follow-ups", chunk), known, follow_up_count)
            )
        return self._in_order(_concatenate(parts))

    def _intensity(self, deals: Deals, visits: Visits) -> tuple[Floats, Seconds]:
        """How many calls a visit attracts, and over how many seconds they spread."""
        weights = np.array([stage.call_weight for stage in STAGES])
        is_final = np.array([stage.semantics != "P" for stage in STAGES])[visits.stage]
        span = np.minimum(visits.left - visits.entered, np.where(is_final, 45, 25) * DAY)
        fill = np.minimum(span, 12 * DAY) / (12 * DAY)
        return weights[visits.stage] * (0.35 + fill), span

    def _openers(self, deals: Deals) -> Ints:
        """Deals that a call started."""
        rng = stream(self.seed, "which openers")
        chance = rng.random(len(deals.created))
        return np.flatnonzero((deals.source == _CALL_SOURCE) & (chance < 0.9))

    def _known_calls(
        self,
        rng: np.random.Generator,
        contacts: Contacts,
        deals: Deals,
        visits: Visits,
        chosen: Ints,
        span: Seconds,
    ) -> Calls:
        count = len(chosen)
        deal = visits.deal[chosen]
        entered = visits.entered[chosen]
        # The power draws calls towards the entry: right after a move there is something to say.
        wanted = entered + (span[chosen] * rng.random(count) ** 1.7).astype(np.int64)
        days = self.rhythm.off_to_working(rng, wanted // DAY)
        start = days * DAY + time_of_day(rng, count)
        early = np.flatnonzero(start < entered)
        soon = entered[early] + rng.exponential(1_800, size=len(early)).astype(np.int64) + 30
        start[early] = self.rhythm.snap_forward(rng, soon)
        start = self._not_too_late(rng, start, _LAST_CALL)
        # The redraw on the clock's day may precede a client of this afternoon.
        start = np.maximum(start, contacts.created[deals.contact[deal]] + 20)
        kind = rng.choice(5, size=count, p=[0.66, 0.25, 0.04, 0.045, 0.005]) + 1
        category = deals.category[deal]
        talker = self._talkers(rng, category, deals.owner[deal])
        talker = np.where(kind == INFORMATIONAL, self.staff.robot, talker)
        return self._answered(rng, contacts, deals, deal, start, kind, talker)

    def _opening_calls(
        self, rng: np.random.Generator, contacts: Contacts, deals: Deals, deal: Ints
    ) -> Calls:
        start = deals.created[deal] - rng.integers(60, 400, size=len(deal))
        kind = np.full(len(deal), INCOMING)
        return self._answered(
            rng, contacts, deals, deal, start, kind, deals.owner[deal], always=True
        )

    def _talkers(self, rng: np.random.Generator, category: Ints, owner: Ints) -> Ints:
        """Mostly the owner, else a colleague of the same team, rarely the head."""
        who = rng.random(len(owner))
        colleague = np.empty(len(owner), dtype=np.int64)
        for number, sellers in self.staff.sellers.items():
            chosen = np.flatnonzero(category == number)
            colleague[chosen] = rng.choice(sellers, size=len(chosen))
        heads = np.array([self.staff.heads[pipeline.category_id] for pipeline in PIPELINES])
        return np.where(who < 0.82, owner, np.where(who < 0.97, colleague, heads[category]))

    def _answered(
        self,
        rng: np.random.Generator,
        contacts: Contacts,
        deals: Deals,
        deal: Ints,
        start: Seconds,
        kind: Ints,
        talker: Ints,
        *,
        always: bool = False,
    ) -> Calls:
        """Calls of known clients: result, length and what the CRM bound them to."""
        count = len(deal)
        code = _results(rng, kind)
        if always:
            code = np.zeros(count, dtype=np.int8)
        contact = deals.contact[deal]
        has_second = contacts.second[contact] > 0
        number = np.where(
            has_second & (rng.random(count) < 0.3),
            contacts.second[contact],
            contacts.number[contact],
        )
        # 94 % of 91 % known calls name the client (85 %), 94 % of those have an activity (80 %).
        draw = rng.random(count)
        binding = np.select(
            [draw < 0.06, draw < 0.115, draw < 0.55],
            [UNBOUND, CLIENT_ONLY, ACTIVITY_OF_CLIENT],
            ACTIVITY_OF_DEAL,
        )
        return Calls(
            start=start,
            seconds=_lengths(rng, kind, code),
            talker=talker.astype(np.int16),
            contact=contact.astype(np.int32),
            deal=deal.astype(np.int32),
            category=deals.category[deal],
            kind=kind.astype(np.int8),
            code=code,
            number=number,
            binding=binding.astype(np.int8),
            names_company=(contacts.company[contact] > 0) & (rng.random(count) < 0.5),
        )

    def _stranger_calls(self, rng: np.random.Generator, chunk: int, count: int) -> Calls:
        low, high = int(self.edges[chunk]), int(self.edges[chunk + 1])
        days = self.rhythm.pick_days(rng, low // DAY, (high - 1) // DAY + 1, count)
        start = self._not_too_late(rng, days * DAY + time_of_day(rng, count), _LAST_CALL)
        kind = np.where(rng.random(count) < 0.8, INCOMING, OUTGOING)
        category = rng.choice([SALES, SETTER], size=count)
        sellers = {c: np.array(self.staff.sellers[c]) for c in (SALES, SETTER)}
        talker = np.where(
            category == SALES,
            rng.choice(sellers[SALES], size=count),
            rng.choice(sellers[SETTER], size=count),
        )
        # A few numbers call again and again, as real advertisers do; the others call once.
        repeated = rng.random(count) < 0.3
        number = names.STRANGER_NUMBERS + np.where(
            repeated,
            rng.integers(0, 200, size=count),
            rng.integers(1_000, 10_000_000, size=count),
        )
        hidden = (kind == INCOMING) & (rng.random(count) < 0.15)
        code = _results(rng, kind)
        return Calls(
            start=start,
            seconds=_lengths(rng, kind, code),
            talker=talker.astype(np.int16),
            contact=np.full(count, -1, dtype=np.int32),
            deal=np.full(count, -1, dtype=np.int32),
            category=category.astype(np.int8),
            kind=kind.astype(np.int8),
            code=code,
            number=np.where(hidden, ANONYMOUS, number),
            binding=np.full(count, UNBOUND, dtype=np.int8),
            names_company=np.zeros(count, dtype=bool),
        )

    def _follow_ups(self, rng: np.random.Generator, calls: Calls, count: int) -> Calls:
        """Clients called back after a missed call."""
        missed = np.flatnonzero((calls.code == MISSED) & (calls.start < self.clock - 4 * HOUR))
        chosen = rng.permutation(missed)[:count]
        back = _taken(calls, chosen)
        count = len(chosen)
        back.start = self.rhythm.snap_forward(
            rng, back.start + 120 + rng.exponential(3_600, size=count).astype(np.int64)
        )
        back.start = self._not_too_late(rng, back.start, _LAST_CALL)
        back.kind = np.full(count, OUTGOING, dtype=np.int8)
        back.code = np.where(rng.random(count) < 0.85, ANSWERED, _results(rng, back.kind)).astype(
            np.int8
        )
        back.seconds = _lengths(rng, back.kind, back.code)
        return back

    def _in_order(self, calls: Calls) -> Calls:
        """One talker, one call at a time; ordered by end."""
        busy = calls.seconds.astype(np.int64) + _GAP_SECONDS
        order = np.argsort(calls.talker.astype(np.int64) << 34 | calls.start, kind="stable")
        talker, start, busy = calls.talker[order].astype(np.int64), calls.start[order], busy[order]
        # start'[i] = max over j <= i of (start[j] + everything said between j and i).
        said = np.cumsum(busy) - busy
        far = talker * (int(start.max() - start.min()) + int(said[-1]) + 1)
        shifted = np.maximum.accumulate(start - said + far) - far + said
        calls.start[order] = shifted
        end = calls.start + calls.seconds
        kept = np.flatnonzero(end <= self.clock - 30)
        return _taken(calls, kept[np.argsort(end[kept], kind="stable")])

    def tasks(self, deals: Deals, visits: Visits) -> Tasks:
        """To-dos, e-mails and meetings around the open stages."""
        edges = np.searchsorted(deals.created, self.edges)
        edges[0], edges[-1] = 0, len(deals.created)
        starts = np.r_[deals.first_visit, len(visits.deal)]
        is_final = np.array([stage.semantics != "P" for stage in STAGES])
        parts = []
        for chunk, (low, high) in enumerate(itertools.pairwise(edges)):
            rng = stream(self.seed, "tasks", chunk)
            rows = np.arange(starts[low], starts[high])
            rows = rows[~is_final[visits.stage[rows]]]
            for kind, share in ((TODO, 0.45), (E_MAIL, 0.2), (MEETING, 0.06)):
                chosen = rows[rng.random(len(rows)) < share]
                parts.append(self._tasks_of(rng, kind, deals, visits, chosen))
        return _concatenate(parts)

    def _tasks_of(
        self, rng: np.random.Generator, kind: int, deals: Deals, visits: Visits, chosen: Ints
    ) -> Tasks:
        count = len(chosen)
        deal = visits.deal[chosen]
        span = np.minimum(visits.left[chosen] - visits.entered[chosen], 4 * DAY)
        created = visits.entered[chosen] + (span * rng.random(count) ** 2).astype(np.int64)
        created = np.minimum(self.rhythm.snap_forward(rng, created), self.clock - 60)
        ahead = rng.integers(HOUR, 6 * DAY, size=count)
        deadline = created if kind == E_MAIL else self.rhythm.snap_forward(rng, created + ahead)
        is_closed = np.array([stage.semantics != "P" for stage in STAGES])[deals.stage[deal]]
        done_by = deadline + rng.integers(-2 * HOUR, DAY, size=count) * (kind != E_MAIL)
        done_by = np.maximum(done_by, created)
        is_done = (done_by < self.clock) & (is_closed | (rng.random(count) < 0.8))
        is_done |= is_closed
        return Tasks(
            created=created,
            deal=deal,
            kind=np.full(count, kind, dtype=np.int8),
            deadline=deadline,
            updated=np.where(is_done, np.minimum(done_by, self.clock - 30), created),
            is_done=is_done,
        )


class _Steps:
    """Steps of many deals, added pipeline by pipeline."""

    def __init__(self) -> None:
        self._deal: list[Ints] = []
        self._order: list[Ints] = []
        self._stage: list[Ints] = []
        self._stay: list[Floats] = []

    def add(self, deal: Ints, order: Ints, stage: Ints, stay: Floats) -> None:
        self._deal.append(deal)
        self._order.append(order)
        self._stage.append(stage)
        self._stay.append(stay)

    def ordered(self) -> tuple[Ints, Ints, Seconds]:
        """Deal, stage and whole seconds of stay, by deal and order."""
        deal = np.concatenate(self._deal)
        by_deal = np.lexsort((np.concatenate(self._order), deal))
        stay = np.concatenate(self._stay)[by_deal].clip(60, 400 * DAY).astype(np.int64)
        return deal[by_deal], np.concatenate(self._stage)[by_deal], stay


def _choose_rows(rng: np.random.Generator, shares: Floats, rows: Ints) -> Ints:
    """A column for each row, drawn with that row's shares."""
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return np.asarray((rng.random(len(rows))[:, None] >= edges[rows]).sum(axis=1))


def _amounts(rng: np.random.Generator, category: Ints, product: Ints, stage: Ints) -> Ints:
    """Roubles in hundreds; unknown (0) for some open and lost deals, never for a won one."""
    prices = np.array([item.price for item in names.PRODUCTS])
    factors = np.array([pipeline.amount_factor for pipeline in PIPELINES])
    exact = prices[product] * factors[category] * rng.lognormal(0.0, 0.45, size=len(product))
    amount = np.maximum(np.round(exact / 100) * 100, 1_000).astype(np.int64)
    semantics = np.array([{"P": 0, "S": 1, "F": 2}[item.semantics] for item in STAGES])[stage]
    unknown = rng.random(len(product)) < np.array([0.18, 0.0, 0.1])[semantics]
    return np.where(unknown, 0, amount)


def _results(rng: np.random.Generator, kind: Ints) -> Ints:
    """Positions in `FAILED_CODES`."""
    count = len(kind)
    outgoing = np.isin(kind, (OUTGOING, CALLBACK))
    failures_out = rng.choice(
        [5, 4, 2, 3, 6, 7], size=count, p=[0.42, 0.25, 0.14, 0.12, 0.04, 0.03]
    )
    failures_in = rng.choice([MISSED, 2], size=count, p=[0.94, 0.06])
    chance = np.array([0.0, 0.72, 0.82, 0.9, 0.75, 1.0])[kind]
    answered = rng.random(count) < chance
    return np.where(answered, ANSWERED, np.where(outgoing, failures_out, failures_in)).astype(
        np.int8
    )


def _lengths(rng: np.random.Generator, kind: Ints, code: Ints) -> Ints:
    """Seconds of talk: log-normal with a bump of very short ones; 0 when nobody answered."""
    count = len(kind)
    talk = rng.lognormal(np.log(85), 1.0, size=count).clip(2, 3_600)
    short = rng.random(count) < 0.1
    seconds = np.where(short, rng.integers(1, 15, size=count), talk)
    seconds = np.where(kind == INFORMATIONAL, rng.integers(8, 30, size=count), seconds)
    return np.where(code == ANSWERED, seconds, 0).astype(np.int32)


def _repeats(deals: Deals) -> Mask:
    """Deals of a contact that had won one before."""
    won_at = np.where(
        np.array([stage.semantics == "S" for stage in STAGES])[deals.stage],
        deals.moved,
        np.iinfo(np.int64).max,
    )
    first_won = np.full(int(deals.contact.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_won, deals.contact, won_at)
    return np.asarray(first_won[deals.contact] < deals.created)
