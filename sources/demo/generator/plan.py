"""What happens in the invented company, as compact arrays without any text.

Everything is drawn per chunk (a calendar month of deal creation) from streams of its own, then
kept whole: 10 million calls are 0.4 GB here, and ids can follow time over the whole history. The
texts come later, chunk by chunk (`frames`).

No trouble is planted here; what is natural (missed calls, stale cards, steps back, several open
deals of one client) is.
"""

from __future__ import annotations

import datetime as dt

import numpy as np

from sources.demo.generator.billing import BillingMaker
from sources.demo.generator.calls import CallMaker
from sources.demo.generator.deals import DealMaker
from sources.demo.generator.leads import LeadMaker
from sources.demo.generator.people import hire
from sources.demo.generator.records import (
    ACTIVITY_OF_CLIENT,
    ACTIVITY_OF_DEAL,
    ANSWERED,
    Calls,
    Deals,
    Floats,
    Plan,
    Setting,
    Tasks,
)
from sources.demo.generator.rhythm import (
    CLOCK,
    DAY,
    Rhythm,
    Seconds,
    day_number,
    local_seconds,
)
from sources.demo.generator.sizes import CompanySize
from sources.demo.generator.streams import stream
from sources.demo.generator.work import WorkMaker

_EDIT_AFTER_CALL_SHARE = 0.8


def make_plan(size: CompanySize, seed: int) -> Plan:
    """Draw the company, planted troubles apart."""
    clock = local_seconds(CLOCK)
    edges = _month_edges(size.months, clock)
    first_day = dt.date(1970, 1, 1) + dt.timedelta(days=int(edges[0]) // DAY)
    rhythm = Rhythm(first_day - dt.timedelta(days=400), CLOCK.date() + dt.timedelta(days=400))
    staff = hire(size.employees, seed, int(edges[0]), clock)
    weights = _month_weights(rhythm, edges)
    setting = Setting(size, seed, clock, edges, rhythm, staff, weights)
    contacts, deals, visits = DealMaker(setting).make()
    call_maker = CallMaker(setting, contacts, deals, visits)
    calls = call_maker.calls()
    tasks = call_maker.tasks()
    activity_calls = np.flatnonzero(calls.binding >= ACTIVITY_OF_CLIENT).astype(np.int32)
    created = np.concatenate([calls.start[activity_calls], tasks.created])
    activity_order = np.argsort(created, kind="stable").astype(np.int32)
    place = np.empty(len(created), dtype=np.int32)
    place[activity_order] = np.arange(len(created), dtype=np.int32)
    call_activity = np.full(len(calls.start), -1, dtype=np.int32)
    call_activity[activity_calls] = place[: len(activity_calls)]
    _touch_deals(deals, calls, tasks)
    _edit_after_calls(stream(seed, "edits after calls"), deals, calls, clock)
    leads, lead_steps = LeadMaker(setting, contacts, deals, calls).make()
    billing = BillingMaker(setting, deals, visits)
    invoices, invoice_steps = billing.invoices()
    work = WorkMaker(setting, deals, visits, leads, calls)
    assignments, task_events = work.assignments()
    return Plan(
        setting=setting,
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
        leads=leads,
        lead_steps=lead_steps,
        invoices=invoices,
        invoice_steps=invoice_steps,
        requests=billing.requests(),
        product_lines=billing.product_lines(),
        assignments=assignments,
        task_events=task_events,
        comments=work.comments(),
        traces=work.traces(assignments),
        bindings=work.bindings(activity_calls, call_activity),
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


def _touch_deals(deals: Deals, calls: Calls, tasks: Tasks) -> None:
    bound = calls.binding == ACTIVITY_OF_DEAL
    np.maximum.at(deals.last_activity, calls.deal[bound], calls.start[bound] + calls.seconds[bound])
    np.maximum.at(deals.last_activity, tasks.deal, tasks.updated)


def _edit_after_calls(rng: np.random.Generator, deals: Deals, calls: Calls, clock: int) -> None:
    """Most edits note down what the owner has heard: they follow the last talk since the move."""
    talks = np.flatnonzero((calls.deal >= 0) & (calls.code == ANSWERED))
    talks = talks[calls.talker[talks] == deals.owner[calls.deal[talks]]]
    last = np.zeros(len(deals.created), dtype=np.int64)
    np.maximum.at(last, calls.deal[talks], calls.start[talks] + calls.seconds[talks])
    edited = (deals.modified > deals.moved) & (last > deals.moved)
    edited &= rng.random(len(last)) < _EDIT_AFTER_CALL_SHARE
    heard = np.minimum(last + rng.integers(60, 1_200, size=len(last)), clock - 30)
    deals.modified = np.where(edited, heard, deals.modified)
