"""Contacts, deals and their stage visits, drawn month by month."""

from __future__ import annotations

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.dictionaries import ADVERTS, UTM, draw_fields
from sources.demo.generator.pipelines import (
    OLD_SALES,
    PIPELINES,
    SALES,
    SOURCE_IDS,
    STAGE_CODE,
    STAGES,
    WHOLESALE,
)
from sources.demo.generator.records import (
    CALL_SOURCE,
    IS_FINAL,
    IS_WON,
    NONE,
    ONLINE_SOURCES,
    Contacts,
    Deals,
    Floats,
    Ints,
    Mask,
    Setting,
    Visits,
    concatenated,
)
from sources.demo.generator.rhythm import DAY, HOUR, Seconds, time_of_day
from sources.demo.generator.streams import apportion, stream

_LAST_DEAL = 600
"""Seconds before the clock after which nothing is created."""

# Shares of fates; what is still under way at the clock turns part of them into open deals.
_WON_FATE, _LOST_FATE = 0.29, 0.445
# By pipeline: service wins more often than wholesale.
_WON_FACTOR = np.array([0.9, 0.8, 1.1, 1.5, 0.8])
_STEP_BACK_SHARE = 0.05
_OLD_PIPELINE_MONTHS = 7
"""The old pipeline gets no new deals in so many last calendar months."""

# A row per pipeline, a column per source.
_SOURCE_SHARES = np.array(
    [
        [0.28, 0.30, 0.18, 0.10, 0.03, 0.08, 0.03],
        [0.22, 0.20, 0.08, 0.14, 0.16, 0.18, 0.02],
        [0.18, 0.36, 0.30, 0.06, 0.04, 0.02, 0.04],
        [0.55, 0.20, 0.00, 0.02, 0.00, 0.20, 0.03],
        [0.30, 0.28, 0.20, 0.10, 0.03, 0.06, 0.03],
    ]
)


class DealMaker:
    """Draws the contacts, the deals and their lives."""

    def __init__(self, setting: Setting) -> None:
        self._at = setting

    def make(self) -> tuple[Contacts, Deals, Visits]:
        """Contacts and deals in the order of creation, visits by deal and time."""
        deal_counts = apportion(self._at.size.deals, self._at.weights)
        contact_counts = apportion(self._at.size.contacts, self._at.weights)
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
        deals = concatenated(deal_parts)
        visits = concatenated(visit_parts)
        contacts = self._contacts(deals, np.concatenate(lone))
        deals.is_repeat = _repeats(deals)
        return contacts, deals, visits

    def _deals(self, chunk: int, count: int) -> tuple[Deals, Visits]:
        rng = stream(self._at.seed, "deals", chunk)
        shares = np.array([pipeline.share for pipeline in PIPELINES])
        if chunk >= self._at.size.months - _OLD_PIPELINE_MONTHS:
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
        online = np.isin(source, ONLINE_SOURCES)
        by_robot = online | ((source == CALL_SOURCE) & (rng.random(count) < 0.5))
        creator = np.where(by_robot, self._at.staff.robot, owner)
        product = rng.integers(0, len(names.PRODUCTS), size=count)
        grade = rng.choice(4, size=count, p=[0.2, 0.35, 0.3, 0.15])
        visits, first, last = self._lives(rng, created, category)
        stage = visits.stage[last]
        who = rng.random(count)
        heads = np.array([self._at.staff.heads[p.category_id] for p in PIPELINES])
        mover = np.where(
            last == first,
            creator,
            np.where(
                who < 0.82, owner, np.where(who < 0.88, heads[category], self._at.staff.robot)
            ),
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
            **self._details(chunk, created, visits.entered[last], source),
            lead=np.full(count, NONE, dtype=np.int32),
        )
        return deals, visits

    def _details(
        self, chunk: int, created: Seconds, moved: Seconds, source: Ints
    ) -> dict[str, Ints]:
        """What is on the card beside its stage; advertising belongs to its lead too."""
        count = len(created)
        rng = stream(self._at.seed, "deal texts", chunk)
        edited = rng.random(count) < 0.3
        # Planned, not real: seven days ahead by default, further where somebody edited it.
        ahead = np.where(edited, rng.integers(5, 60, size=count), 7)
        later = rng.exponential(2 * DAY, size=count) * (rng.random(count) < 0.4)
        online = np.isin(source, ONLINE_SOURCES)
        utm = np.where(online, rng.integers(0, len(UTM), size=count), 0)
        fields = stream(self._at.seed, "deal fields", chunk)
        return {
            "planned": created - created % DAY + ahead * DAY,
            "modified": np.minimum(moved + later.astype(np.int64), self._at.clock - 30),
            "utm": utm.astype(np.int8),
            "advert": fields.integers(0, ADVERTS, size=count).astype(np.int8),
            **draw_fields(fields, count),
        }

    def _creation_times(self, rng: np.random.Generator, chunk: int, source: Ints) -> Seconds:
        low, high = self._at.days_of(chunk)
        count = len(source)
        days = self._at.rhythm.pick_days(rng, low, high, count)
        # Forms on the site are filled in at any waking hour, and on days off too.
        online = np.isin(source, ONLINE_SOURCES)
        any_day = rng.integers(low, high, size=count)
        at_leisure = online & (rng.random(count) < 0.4)
        times = np.where(at_leisure, any_day, days) * DAY + np.where(
            online,
            rng.integers(7 * HOUR, 24 * HOUR, size=count),
            time_of_day(rng, count),
        )
        return self._at.not_too_late(rng, times, _LAST_DEAL)

    def _owners(self, rng: np.random.Generator, category: Ints) -> Ints:
        owner = np.empty(len(category), dtype=np.int64)
        for number, sellers in self._at.staff.sellers.items():
            chosen = np.flatnonzero(category == number)
            # Sellers differ; the ratio of the busiest to the calmest is about two.
            skill = stream(self._at.seed, "skill", number).uniform(0.7, 1.4, size=len(sellers))
            owner[chosen] = rng.choice(sellers, size=len(chosen), p=skill / skill.sum())
        return owner

    def _lives(
        self, rng: np.random.Generator, created: Seconds, category: Ints
    ) -> tuple[Visits, Ints, Ints]:
        """Stage visits of the deals; also the positions of each deal's first and last visit."""
        count = len(created)
        fate = rng.random(count)
        won_share = _WON_FATE * _WON_FACTOR[category]
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
        # The calendar ends a year after the clock; what lies beyond the clock is cut off below.
        wanted = entered[moved].clip(max=self._at.clock + DAY)
        entered[moved] = self._at.rhythm.snap_forward(rng, wanted)
        # Never back in time: at least 90 seconds on every stage.
        pace = 90 * np.arange(len(deal))
        far = deal.astype(np.int64) * 10**11
        entered = np.maximum.accumulate(entered + far - pace) - far + pace
        happened = is_first | (entered <= self._at.clock - 120)
        deal, stage, entered = deal[happened], stage[happened], entered[happened]
        is_first = np.r_[True, deal[1:] != deal[:-1]]
        is_last = np.r_[is_first[1:], True]
        left = np.where(is_last, self._at.clock, np.r_[entered[1:], 0])
        is_final = IS_FINAL[stage]
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
        rng = stream(self._at.seed, "clients", chunk)
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
        rng = stream(self._at.seed, "lone contacts", chunk)
        low, high = self._at.days_of(chunk)
        times = self._at.rhythm.pick_days(rng, low, high, count) * DAY + time_of_day(rng, count)
        return self._at.not_too_late(rng, times, _LAST_DEAL)

    def _contacts(self, deals: Deals, lone: Seconds) -> Contacts:
        rng = stream(self._at.seed, "contacts")
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
        owner = rng.choice(self._at.staff.sellers[SALES], size=count).astype(np.int32)
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


def _repeats(deals: Deals) -> Mask:
    """Deals of a contact that had won one before."""
    won_at = np.where(
        IS_WON[deals.stage],
        deals.moved,
        np.iinfo(np.int64).max,
    )
    first_won = np.full(int(deals.contact.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_won, deals.contact, won_at)
    return np.asarray(first_won[deals.contact] < deals.created)
