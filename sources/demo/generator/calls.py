"""Calls and other activities around the deals, drawn month by month."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.pipelines import PIPELINES, SALES, SETTER, STAGES
from sources.demo.generator.records import (
    ACTIVITY_OF_CLIENT,
    ACTIVITY_OF_DEAL,
    ANONYMOUS,
    ANSWERED,
    CALL_SOURCE,
    CALLBACK,
    CLIENT_ONLY,
    E_MAIL,
    INCOMING,
    INFORMATIONAL,
    IS_FINAL,
    MEETING,
    MISSED,
    OUTGOING,
    TODO,
    UNBOUND,
    Calls,
    Contacts,
    Deals,
    Floats,
    Ints,
    Setting,
    Tasks,
    Visits,
    concatenated,
    taken,
)
from sources.demo.generator.rhythm import DAY, HOUR, Seconds, time_of_day
from sources.demo.generator.streams import apportion, stream

_STRANGER_SHARE = 0.09
_FOLLOW_UP_SHARE = 0.04
_ENDS_STAY_SHARE = 0.4
_GAP_SECONDS = 20
"""A talker's next call starts at least this long after the one before: base employees never have
two calls at once, so that overlapping calls are the planted ones."""

_LAST_CALL = 900
"""Seconds before the clock after which no call starts."""


class CallMaker:
    """Draws the calls and tasks of a company whose deals are known."""

    def __init__(self, setting: Setting, contacts: Contacts, deals: Deals, visits: Visits) -> None:
        self._at = setting
        self._contacts = contacts
        self._deals = deals
        self._visits = visits

    def calls(self) -> Calls:
        """All calls, in the order of their end."""
        deals, visits = self._deals, self._visits
        total = self._at.size.calls - self._at.size.heavy_calls
        intensity, span = self._intensity()
        visit_edges = np.searchsorted(deals.created, self._at.edges)
        visit_edges = np.r_[deals.first_visit, len(visits.deal)][visit_edges]
        visit_edges[0], visit_edges[-1] = 0, len(visits.deal)
        openers = self._openers()
        strangers = round(total * _STRANGER_SHARE)
        follow_ups = round(total * _FOLLOW_UP_SHARE)
        openers = openers[: max(0, total - strangers - follow_ups)]
        body = total - strangers - follow_ups - len(openers)
        chunk_sums = [float(intensity[low:high].sum()) for low, high in pairwise(visit_edges)]
        parts: list[Calls] = []
        opener_edges = np.searchsorted(deals.created[openers], self._at.edges)
        opener_edges[0], opener_edges[-1] = 0, len(openers)
        shares = zip(
            apportion(body, chunk_sums),
            apportion(strangers, self._at.weights),
            apportion(follow_ups, self._at.weights),
            strict=True,
        )
        for chunk, (body_count, stranger_count, follow_up_count) in enumerate(shares):
            rng = stream(self._at.seed, "calls", chunk)
            low, high = visit_edges[chunk], visit_edges[chunk + 1]
            summed = np.cumsum(intensity[low:high])
            chosen = low + np.searchsorted(
                summed, rng.random(body_count) * (summed[-1] if len(summed) else 0), side="right"
            )
            known = self._known_calls(rng, chosen, span)
            first = openers[opener_edges[chunk] : opener_edges[chunk + 1]]
            opening = self._opening_calls(stream(self._at.seed, "openers", chunk), first)
            unknown = self._stranger_calls(
                stream(self._at.seed, "strangers", chunk), chunk, stranger_count
            )
            parts += [known, opening, unknown]
            parts.append(
                self._follow_ups(stream(self._at.seed, "follow-ups", chunk), known, follow_up_count)
            )
        return self._in_order(concatenated(parts))

    def _intensity(self) -> tuple[Floats, Seconds]:
        """How many calls a visit attracts, and over how many seconds they spread."""
        visits = self._visits
        weights = np.array([stage.call_weight for stage in STAGES])
        is_final = IS_FINAL[visits.stage]
        span = np.minimum(visits.left - visits.entered, np.where(is_final, 45, 25) * DAY)
        fill = np.minimum(span, 12 * DAY) / (12 * DAY)
        return weights[visits.stage] * (0.35 + fill), span

    def _openers(self) -> Ints:
        """Deals that a call started."""
        deals = self._deals
        rng = stream(self._at.seed, "which openers")
        chance = rng.random(len(deals.created))
        return np.flatnonzero((deals.source == CALL_SOURCE) & (chance < 0.9))

    def _known_calls(self, rng: np.random.Generator, chosen: Ints, span: Seconds) -> Calls:
        contacts, deals, visits = self._contacts, self._deals, self._visits
        count = len(chosen)
        deal = visits.deal[chosen]
        entered = visits.entered[chosen]
        # The power draws calls towards the entry: right after a move there is something to say.
        wanted = entered + (span[chosen] * rng.random(count) ** 1.7).astype(np.int64)
        days = self._at.rhythm.off_to_working(rng, wanted // DAY)
        start = days * DAY + time_of_day(rng, count)
        early = np.flatnonzero(start < entered)
        soon = entered[early] + rng.exponential(1_800, size=len(early)).astype(np.int64) + 30
        start[early] = self._at.rhythm.snap_forward(rng, soon)
        start = self._at.not_too_late(rng, start, _LAST_CALL)
        # The redraw on the clock's day may precede a client of this afternoon.
        start = np.maximum(start, contacts.created[deals.contact[deal]] + 20)
        start = self._before_moves(rng, chosen, start)
        kind = rng.choice(5, size=count, p=[0.66, 0.25, 0.04, 0.045, 0.005]) + 1
        category = deals.category[deal]
        talker = self._talkers(rng, category, deals.owner[deal])
        talker = np.where(kind == INFORMATIONAL, self._at.staff.robot, talker)
        return self._of_deals(rng, deal, start, kind, talker=talker)

    def _before_moves(self, rng: np.random.Generator, chosen: Ints, start: Seconds) -> Seconds:
        """Some of the calls end a stay: what was said is why the deal moves on."""
        visits = self._visits
        left = visits.left[chosen]
        wanted = left - rng.integers(300, 3_000, size=len(chosen))
        ends_stay = (rng.random(len(chosen)) < _ENDS_STAY_SHARE) & (left < self._at.clock)
        ends_stay &= (wanted > visits.entered[chosen]) & (left % DAY >= 10 * HOUR)
        ends_stay &= left % DAY < 20 * HOUR
        return np.where(ends_stay, wanted, start)

    def _opening_calls(self, rng: np.random.Generator, deal: Ints) -> Calls:
        start = self._deals.created[deal] - rng.integers(60, 400, size=len(deal))
        kind = np.full(len(deal), INCOMING)
        talker = self._deals.owner[deal]
        return self._of_deals(rng, deal, start, kind, talker=talker, always_answered=True)

    def _talkers(self, rng: np.random.Generator, category: Ints, owner: Ints) -> Ints:
        """Mostly the owner, else a colleague of the same team, rarely the head."""
        who = rng.random(len(owner))
        colleague = np.empty(len(owner), dtype=np.int64)
        for number, sellers in self._at.staff.sellers.items():
            chosen = np.flatnonzero(category == number)
            colleague[chosen] = rng.choice(sellers, size=len(chosen))
        heads = np.array([self._at.staff.heads[pipeline.category_id] for pipeline in PIPELINES])
        return np.where(who < 0.82, owner, np.where(who < 0.97, colleague, heads[category]))

    def _of_deals(
        self,
        rng: np.random.Generator,
        deal: Ints,
        start: Seconds,
        kind: Ints,
        *,
        talker: Ints,
        always_answered: bool = False,
    ) -> Calls:
        """Calls of known clients: result, length and what the CRM bound them to."""
        contacts, deals = self._contacts, self._deals
        count = len(deal)
        code = _results(rng, kind)
        if always_answered:
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
        low, high = self._at.days_of(chunk)
        days = self._at.rhythm.pick_days(rng, low, high, count)
        start = self._at.not_too_late(rng, days * DAY + time_of_day(rng, count), _LAST_CALL)
        kind = np.where(rng.random(count) < 0.8, INCOMING, OUTGOING)
        category = rng.choice([SALES, SETTER], size=count)
        sellers = {c: np.array(self._at.staff.sellers[c]) for c in (SALES, SETTER)}
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
        missed = np.flatnonzero((calls.code == MISSED) & (calls.start < self._at.clock - 4 * HOUR))
        chosen = rng.permutation(missed)[:count]
        back = taken(calls, chosen)
        count = len(chosen)
        back.start = self._at.rhythm.snap_forward(
            rng, back.start + 120 + rng.exponential(3_600, size=count).astype(np.int64)
        )
        back.start = self._at.not_too_late(rng, back.start, _LAST_CALL)
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
        kept = np.flatnonzero(end <= self._at.clock - 30)
        return taken(calls, kept[np.argsort(end[kept], kind="stable")])

    def tasks(self) -> Tasks:
        """To-dos, e-mails and meetings around the open stages."""
        deals, visits = self._deals, self._visits
        edges = np.searchsorted(deals.created, self._at.edges)
        edges[0], edges[-1] = 0, len(deals.created)
        starts = np.r_[deals.first_visit, len(visits.deal)]
        parts = []
        for chunk, (low, high) in enumerate(pairwise(edges)):
            rng = stream(self._at.seed, "tasks", chunk)
            rows = np.arange(starts[low], starts[high])
            rows = rows[~IS_FINAL[visits.stage[rows]]]
            for kind, share in ((TODO, 0.45), (E_MAIL, 0.2), (MEETING, 0.06)):
                chosen = rows[rng.random(len(rows)) < share]
                parts.append(self._tasks_of(rng, kind, chosen))
        return concatenated(parts)

    def _tasks_of(self, rng: np.random.Generator, kind: int, chosen: Ints) -> Tasks:
        deals, visits = self._deals, self._visits
        count = len(chosen)
        deal = visits.deal[chosen]
        span = np.minimum(visits.left[chosen] - visits.entered[chosen], 4 * DAY)
        created = visits.entered[chosen] + (span * rng.random(count) ** 2).astype(np.int64)
        created = np.minimum(self._at.rhythm.snap_forward(rng, created), self._at.clock - 60)
        ahead = rng.integers(HOUR, 6 * DAY, size=count)
        deadline = created if kind == E_MAIL else self._at.rhythm.snap_forward(rng, created + ahead)
        is_closed = IS_FINAL[deals.stage[deal]]
        done_by = deadline + rng.integers(-2 * HOUR, DAY, size=count) * (kind != E_MAIL)
        done_by = np.maximum(done_by, created)
        is_done = (done_by < self._at.clock) & (is_closed | (rng.random(count) < 0.8))
        # A task planned beyond the clock stays open even on a closed card.
        is_done |= is_closed & (deadline < self._at.clock)
        return Tasks(
            created=created,
            deal=deal,
            kind=np.full(count, kind, dtype=np.int8),
            deadline=deadline,
            updated=np.where(is_done, np.minimum(done_by, self._at.clock - 30), created),
            is_done=is_done,
        )


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
