"""Leads before the deals of the last year, and those that never became one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.dictionaries import (
    ADVERTS,
    LEAD_CONVERTED,
    LEAD_IN_PROCESS,
    LEAD_JUNK,
    LEAD_NEW,
    LEAD_NO_REPLY,
    LEAD_PROCESSED,
    LEAD_STATUSES,
    UTM,
    draw_fields,
)
from sources.demo.generator.pipelines import SALES, SETTER
from sources.demo.generator.records import (
    ANONYMOUS,
    CALL_SOURCE,
    END_OF_TIME,
    INCOMING,
    NONE,
    ONLINE_SOURCES,
    REDIRECTED,
    Calls,
    Contacts,
    Deals,
    Ints,
    Leads,
    Mask,
    Setting,
    Steps,
    concatenated,
    taken,
)
from sources.demo.generator.rhythm import DAY, HOUR, Seconds, time_of_day
from sources.demo.generator.streams import apportion, stream

MONTHS_WITH_LEADS = 12
"""The portal worked without leads before."""

_LEADS_PER_DEAL = 1.6
_WITH_LEAD_SHARE = 0.75
"""Share of the deals of these months and sources that were made from a lead."""

_LAST_LEAD = 120
"""Seconds before the clock after which no lead is created and none is moved."""

_IS_FINAL = np.array([status.semantics != "P" for status in LEAD_STATUSES])


class LeadMaker:
    """Draws the leads of a company whose deals and calls are known."""

    def __init__(self, setting: Setting, contacts: Contacts, deals: Deals, calls: Calls) -> None:
        self._at = setting
        self._contacts = contacts
        self._deals = deals
        self._calls = calls
        self._given, self._surname = _contact_names(setting, contacts)

    def make(self) -> tuple[Leads, Steps]:
        """Leads in the order of creation and their moves; deals get their lead."""
        deals, edges = self._deals, self._at.edges
        months = len(edges) - 1
        first = max(0, months - MONTHS_WITH_LEADS)
        wanted = np.isin(deals.source, (*ONLINE_SOURCES, CALL_SOURCE)) & np.isin(
            deals.category, (SALES, SETTER)
        )
        wanted &= deals.created >= edges[first]
        candidates = np.flatnonzero(wanted)
        places = np.searchsorted(deals.created[candidates], edges)
        places[-1] = len(candidates)
        chosen = []
        for chunk, (low, high) in enumerate(pairwise(places)):
            drawn = stream(self._at.seed, "which leads", chunk).random(high - low)
            chosen.append(candidates[low:high][drawn < _WITH_LEAD_SHARE])
        others = max(
            0, round(_LEADS_PER_DEAL * len(candidates)) - sum(len(part) for part in chosen)
        )
        shares = apportion(others, np.diff(places)) if len(candidates) else [0] * months
        parts = []
        for chunk in range(first, months):
            parts.append(self._of_deals(chunk, chosen[chunk]))
            parts.append(self._others(chunk, shares[chunk], sum(shares[:chunk])))
        leads = concatenated(parts)
        leads = taken(leads, np.argsort(leads.created, kind="stable"))
        steps = self._steps(leads)
        of_deal = np.flatnonzero(leads.deal >= 0)
        deals.lead[leads.deal[of_deal]] = of_deal
        return leads, steps

    def _of_deals(self, chunk: int, deal: Ints) -> Leads:
        """Leads that were converted into the deals."""
        rng = stream(self._at.seed, "leads", chunk)
        deals, contacts = self._deals, self._contacts
        count = len(deal)
        by_call = deals.source[deal] == CALL_SOURCE
        gap = rng.lognormal(np.log(5 * HOUR), 1.3, size=count).clip(300, 12 * DAY).astype(np.int64)
        gap = np.where(by_call, np.minimum(gap, rng.integers(400, 3 * HOUR, size=count)), gap)
        closed = deals.created[deal] - rng.integers(0, 3, size=count)
        created = closed - gap
        # Nobody fills in a form at night: those come from the evening before.
        created -= 7 * HOUR * (created % DAY < 7 * HOUR)
        contact = deals.contact[deal]
        is_setter = rng.random(count) < 0.6
        setters = rng.choice(self._at.staff.sellers[SETTER], size=count)
        owner = np.where(
            (deals.category[deal] == SALES) & is_setter, setters, deals.owner[deal]
        ).astype(np.int32)
        return self._leads(
            rng,
            created=created,
            closed=closed,
            status=np.full(count, LEAD_CONVERTED),
            owner=owner,
            deal=deal,
            contact=contact,
            number=contacts.number[contact],
            source=deals.source[deal],
            product=deals.product[deal],
            amount=np.where(rng.random(count) < 0.4, deals.amount[deal], 0),
            utm=deals.utm[deal],
            advert=deals.advert[deal],
            region=deals.region[deal],
            interest=deals.interest[deal],
            given=self._given[contact],
            surname=self._surname[contact],
            # The contact is made with the deal, unless the client was known before the lead.
            is_return=contacts.created[contact] < created,
        )

    def _others(self, chunk: int, count: int, before: int) -> Leads:
        """Leads without a deal: refused, still in work, or converted into one that is gone."""
        rng = stream(self._at.seed, "other leads", chunk)
        calls, contacts = self._calls, self._contacts
        low, high = self._at.days_of(chunk)
        source = rng.choice([CALL_SOURCE, *ONLINE_SOURCES], size=count, p=[0.34, 0.36, 0.3])
        by_call = source == CALL_SOURCE
        days = self._at.rhythm.pick_days(rng, low, high, count)
        days = np.where(by_call, days, rng.integers(low, high, size=count))
        created = days * DAY + np.where(
            by_call, time_of_day(rng, count), rng.integers(7 * HOUR, DAY, size=count)
        )
        number = names.spread_number(names.LEAD_PLACES + before + np.arange(count))
        # A call of an unknown number makes a lead with that number.
        strangers = np.flatnonzero(
            (calls.contact == NONE)
            & (calls.number != ANONYMOUS)
            & np.isin(calls.kind, (INCOMING, REDIRECTED))
            & (calls.start >= low * DAY)
            & (calls.start < high * DAY)
        )
        called = np.flatnonzero(by_call)
        made_by = rng.permutation(strangers)[: len(called)]
        called = called[: len(made_by)]
        created[called] = calls.start[made_by] + calls.seconds[made_by]
        created[called] += rng.integers(3, 30, size=len(called))
        number[called] = calls.number[made_by]
        created = self._at.not_too_late(rng, created, _LAST_LEAD)
        returning = np.flatnonzero(~by_call & (rng.random(count) < 0.08))
        known = np.searchsorted(contacts.created, created[returning])
        returning, known = returning[known > 0], known[known > 0]
        contact = np.full(count, NONE)
        contact[returning] = (rng.random(len(returning)) * known).astype(np.int64)
        number[returning] = contacts.number[contact[returning]]
        drawn = names.draw_names(rng, count)
        pace = rng.lognormal(np.log(1.6 * DAY), 1.1, size=count).clip(600, 60 * DAY)
        closed = self._at.rhythm.snap_forward(
            rng, np.minimum(created + pace.astype(np.int64), self._at.clock + 5 * DAY)
        )
        status = rng.choice(
            [LEAD_JUNK, LEAD_NO_REPLY, LEAD_CONVERTED], size=count, p=[0.62, 0.26, 0.12]
        )
        # Some stay where they are; of the last month's many are simply still in work.
        is_left = rng.random(count) < (0.4 if chunk == len(self._at.edges) - 2 else 0.05)
        is_open = is_left | (closed > self._at.clock - _LAST_LEAD)
        status[is_open] = LEAD_PROCESSED
        setter = rng.choice(self._at.staff.sellers[SETTER], size=count)
        seller = rng.choice(self._at.staff.sellers[SALES], size=count)
        online = ~by_call
        return self._leads(
            rng,
            created=created,
            closed=np.where(is_open, END_OF_TIME, closed),
            status=status,
            owner=np.where(rng.random(count) < 0.7, setter, seller).astype(np.int32),
            deal=np.full(count, NONE),
            contact=contact,
            number=number,
            source=source,
            product=rng.integers(0, len(names.PRODUCTS), size=count),
            amount=np.zeros(count, dtype=np.int64),
            utm=np.where(online, rng.integers(0, len(UTM), size=count), 0),
            advert=rng.integers(0, ADVERTS, size=count),
            **draw_fields(rng, count),
            given=np.where(contact >= 0, self._given[contact], drawn.given),
            surname=np.where(contact >= 0, self._surname[contact], drawn.surname),
            is_return=contact >= 0,
        )

    def _leads(
        self,
        rng: np.random.Generator,
        *,
        created: Seconds,
        closed: Seconds,
        status: Ints,
        owner: Ints,
        deal: Ints,
        contact: Ints,
        number: Ints,
        source: Ints,
        product: Ints,
        amount: Ints,
        utm: Ints,
        advert: Ints,
        region: Ints,
        interest: Ints,
        given: Ints,
        surname: Ints,
        is_return: Ints,
    ) -> Leads:
        count = len(created)
        online = np.isin(source, ONLINE_SOURCES)
        by_robot = online | (rng.random(count) < 0.6)
        robot = self._at.staff.robot
        return Leads(
            created=created,
            closed=closed,
            status=status.astype(np.int8),
            moved=created.copy(),
            modified=created.copy(),
            owner=owner,
            creator=np.where(by_robot, robot, owner).astype(np.int32),
            mover=np.where(rng.random(count) < 0.06, robot, owner).astype(np.int32),
            deal=deal.astype(np.int32),
            contact=contact.astype(np.int32),
            number=number,
            source=source.astype(np.int8),
            product=product.astype(np.int8),
            amount=amount.astype(np.int64),
            utm=utm.astype(np.int8),
            advert=advert.astype(np.int8),
            region=region,
            interest=interest,
            given=given.astype(np.int8),
            surname=surname.astype(np.int16),
            has_chat=online & (rng.random(count) < 0.12),
            has_e_mail=np.where(online, rng.random(count) < 0.7, False),
            is_return=is_return,
        )

    def _steps(self, leads: Leads) -> Steps:
        """Moves in the order of time; leads get their last one's status and moment."""
        rng = stream(self._at.seed, "lead steps")
        count = len(leads.created)
        is_open = leads.closed == END_OF_TIME
        # A lead left in work was taken up at the pace of the others.
        pace = rng.lognormal(np.log(1.6 * DAY), 1.1, size=count).clip(600, 60 * DAY)
        end = np.where(is_open, leads.created + pace.astype(np.int64), leads.closed)
        span = end - leads.created
        lead = np.arange(count)
        steps: list[tuple[Ints, int, Seconds]] = [(lead, LEAD_NEW, leads.created)]
        for status, share, low, high in (
            (LEAD_IN_PROCESS, 0.92, 0.03, 0.35),
            (LEAD_PROCESSED, 0.45, 0.45, 0.75),
            (LEAD_IN_PROCESS, 0.04, 0.8, 0.95),
        ):
            chosen = np.flatnonzero(rng.random(count) < share)
            part = rng.uniform(low, high, size=len(chosen))
            wanted = leads.created[chosen] + (span[chosen] * part).astype(np.int64)
            wanted = self._at.rhythm.snap_forward(rng, wanted.clip(max=self._at.clock + DAY))
            steps.append((chosen, status, wanted))
        closed = np.flatnonzero(~is_open)
        owner = np.concatenate([*(lead for lead, _, _ in steps), closed])
        stage = np.concatenate(
            [*(np.full(len(lead), status) for lead, status, _ in steps), leads.status[closed]]
        )
        entered = np.concatenate([*(times for _, _, times in steps), leads.closed[closed]])
        position = np.repeat(
            np.arange(len(steps) + 1), [*(len(lead) for lead, _, _ in steps), len(closed)]
        )
        by_lead = np.lexsort((position, owner))
        owner, stage, entered = owner[by_lead], stage[by_lead], entered[by_lead]
        # Working hours may have moved a step behind a later one: such a step did not happen.
        far = owner * 10**11
        latest = np.maximum.accumulate(entered + far) - far
        is_first = _begins(owner)
        behind = ~is_first
        behind[1:] &= entered[1:] <= latest[:-1]
        final = _IS_FINAL[stage]
        happened = (
            is_first
            | final
            | (~behind & (entered < end[owner]) & (entered <= self._at.clock - _LAST_LEAD))
        )
        owner, stage, entered, final = (
            column[happened] for column in (owner, stage, entered, final)
        )
        same = ~_begins(owner) & ~_begins(stage)
        owner, stage, entered, final = (column[~same] for column in (owner, stage, entered, final))
        is_first = _begins(owner)
        last = np.flatnonzero(_begins(owner[::-1])[::-1])
        leads.status = stage[last].astype(np.int8)
        leads.moved = entered[last]
        only_one = leads.moved == leads.created
        leads.mover = np.where(only_one, leads.creator, leads.mover)
        later = rng.exponential(DAY, size=count) * (rng.random(count) < 0.3)
        leads.modified = np.minimum(leads.moved + later.astype(np.int64), self._at.clock - 30)
        steps_by_time = np.argsort(entered, kind="stable")
        kind = np.where(is_first, 1, np.where(final, 3, 2))
        return taken(
            Steps(
                owner=owner.astype(np.int32),
                stage=stage.astype(np.int8),
                entered=entered,
                kind=kind.astype(np.int8),
            ),
            steps_by_time,
        )


def _begins(values: Ints) -> Mask:
    """Where a run of equal values begins."""
    begins = np.ones(len(values), dtype=bool)
    begins[1:] = values[1:] != values[:-1]
    return begins


def _contact_names(setting: Setting, contacts: Contacts) -> tuple[Ints, Ints]:
    """Given names and surnames of all contacts, as their frames print them."""
    edges = np.searchsorted(contacts.created, setting.edges)
    edges[0], edges[-1] = 0, len(contacts.created)
    drawn = [
        names.draw_names(stream(setting.seed, "contact texts", chunk), int(count))
        for chunk, count in enumerate(np.diff(edges))
    ]
    return (
        np.concatenate([part.given for part in drawn]).astype(np.int8),
        np.concatenate([part.surname for part in drawn]).astype(np.int16),
    )
