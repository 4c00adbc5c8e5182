"""What deals are made of and lead to: rows of products, invoices, requests for installation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sources.demo.generator import names
from sources.demo.generator.dictionaries import (
    INVOICE_DECLINED,
    INVOICE_NEW,
    INVOICE_PAID,
    INVOICE_SENT,
    REQUEST_STAGES,
)
from sources.demo.generator.pipelines import OLD_SALES, SALES, SETTER, STAGE_CODE, WHOLESALE
from sources.demo.generator.records import (
    IS_FINAL,
    IS_WON,
    NONE,
    Deals,
    Ints,
    Items,
    ProductLines,
    Setting,
    Steps,
    Visits,
    concatenated,
    taken,
)
from sources.demo.generator.rhythm import DAY, HOUR, Seconds
from sources.demo.generator.streams import stream

_MARGIN = 90
"""Seconds before the clock after which nothing is moved."""

_BILLED_SHARE = 0.88
_REQUEST_SHARE = 0.22
CONTRACT_STAGES = (
    "EXECUTING", "FINAL_INVOICE", "C1:EXECUTING", "C1:FINAL_INVOICE", "C3:FINAL_INVOICE",
    "C4:EXECUTING",
)  # fmt: skip
"""Open stages on which a deal may have an invoice."""


class BillingMaker:
    """Draws what hangs on the amounts of deals."""

    def __init__(self, setting: Setting, deals: Deals, visits: Visits) -> None:
        self._at = setting
        self._deals = deals
        self._visits = visits
        edges = np.searchsorted(deals.created, setting.edges)
        edges[0], edges[-1] = 0, len(deals.created)
        self._chunks = list(pairwise(int(edge) for edge in edges))

    def product_lines(self) -> ProductLines:
        """One to three rows of most deals with an amount; a deal's rows add up to it."""
        return concatenated([self._lines(*chunk) for chunk in enumerate(self._chunks)])

    def _lines(self, chunk: int, bounds: tuple[int, int]) -> ProductLines:
        rng = stream(self._at.seed, "product rows", chunk)
        deals = self._deals
        deal = np.arange(*bounds)
        deal = deal[(rng.random(len(deal)) < 0.85) & (deals.amount[deal] > 0)]
        count = len(deal)
        further = rng.choice(3, size=count, p=[0.5, 0.33, 0.17])
        first = rng.integers(0, len(names.ACCESSORIES), size=count)
        second = (first + rng.integers(1, len(names.ACCESSORIES), size=count)) % len(
            names.ACCESSORIES
        )
        prices = np.array([item.price for item in names.ACCESSORIES])
        rest = deals.amount[deal].copy()
        parts = []
        # What goes along stays under two fifths of the deal.
        for place, (item, wanted) in enumerate(((first, further > 0), (second, further > 1)), 1):
            price = prices[item]
            fits = wanted & (deals.amount[deal] - rest + price <= deals.amount[deal] * 2 // 5)
            rest -= np.where(fits, price, 0)
            parts.append(
                _line(deal[fits], place, len(names.PRODUCTS) + item[fits], price[fits] * 100)
            )
        # Amounts are whole hundreds, so these quantities divide them without a remainder.
        quantity = rng.choice([1, 2, 4, 5, 10], size=count, p=[0.74, 0.14, 0.06, 0.04, 0.02])
        discount = rng.choice([0, 5, 10], size=count, p=[0.72, 0.18, 0.10])
        parts.append(
            _line(deal, 0, deals.product[deal], rest * 100 // quantity, quantity, discount)
        )
        lines = concatenated(parts)
        return taken(lines, np.lexsort((lines.place, lines.deal)))

    def invoices(self) -> tuple[Items, Steps]:
        """Smart invoices of most won deals and of some open and lost ones; their moves."""
        items, steps = zip(
            *(self._invoices(*chunk) for chunk in enumerate(self._chunks)), strict=True
        )
        invoices = concatenated(list(items))
        before = np.cumsum([0, *(len(part.created) for part in items)])
        for part, shift in zip(steps, before[:-1], strict=True):
            part.owner = part.owner + shift
        moves = concatenated(list(steps))
        order = np.argsort(invoices.created, kind="stable")
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        moves.owner = place[moves.owner]
        return taken(invoices, order), taken(moves, np.argsort(moves.entered, kind="stable"))

    def _invoices(self, chunk: int, bounds: tuple[int, int]) -> tuple[Items, Steps]:
        rng = stream(self._at.seed, "invoices", chunk)
        deals = self._deals
        deal, entered = self._billed(rng, bounds)
        is_won = IS_WON[deals.stage[deal]]
        # A deal still open has its first invoice only; a won one may be paid in parts.
        parts = np.where(is_won, rng.choice([1, 2, 3], size=len(deal), p=[0.72, 0.22, 0.06]), 1)
        first_share = np.where(rng.random(len(deal)) < 0.5, 50, 30)
        which = np.repeat(np.arange(len(deal)), parts)
        number = np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts)
        of = deal[which]
        whole = deals.amount[of]
        first = whole * first_share[which] // 100 // 100 * 100
        second = (whole - first) // 2 // 100 * 100
        amount = np.select(
            [parts[which] == 1, number == 0, (number == 1) & (parts[which] == 3)],
            [whole, first, second],
            whole - first - np.where(parts[which] == 3, second, 0),
        )
        count = len(of)
        wait = number * rng.integers(14 * DAY, 30 * DAY, size=count)
        created = self._later(rng, entered[which] + wait + rng.integers(60, 8 * HOUR, size=count))
        sent = self._later(rng, created + rng.integers(300, DAY, size=count))
        days = rng.lognormal(np.log(4.0), 0.7, size=count).clip(0.1, 60)
        ended = self._later(rng, sent + (days * DAY).astype(np.int64))
        is_paid = is_won[which] & (rng.random(count) < 0.96)
        is_lost = IS_FINAL[deals.stage[of]] & ~is_won[which]
        # A refused deal takes its invoice along; a won one's unpaid part waits for its month.
        declined = np.maximum(sent + 300, np.where(is_lost, deals.moved[of], sent + 30 * DAY))
        ended = np.where(is_paid, ended, declined)
        final = np.where(is_paid, INVOICE_PAID, INVOICE_DECLINED)
        is_sent = rng.random(count) < 0.93
        ends = is_won[which] | is_lost
        last = self._at.clock - _MARGIN
        exists = np.flatnonzero((created <= last) & ~(is_lost & (created >= deals.moved[of])))
        place = np.full(count, NONE)
        place[exists] = np.arange(len(exists))
        is_sent &= sent <= last
        ends &= ended <= last
        creator = deals.owner[of]
        # The bank's statement is read by the robot.
        by_robot = ends & is_paid & (rng.random(count) < 0.5)
        stage = np.where(ends, final, np.where(is_sent, INVOICE_SENT, INVOICE_NEW))
        before = np.where(ends & is_sent, INVOICE_SENT, INVOICE_NEW)
        items = Items(
            created=created,
            deal=of.astype(np.int32),
            amount=amount,
            stage=stage.astype(np.int8),
            stage_before=np.where(stage == INVOICE_NEW, NONE, before).astype(np.int8),
            moved=np.where(ends, ended, np.where(is_sent, sent, created)),
            creator=creator.astype(np.int32),
            mover=np.where(by_robot, self._at.staff.robot, creator).astype(np.int32),
            due=created - created % DAY + 7 * DAY,
        )
        moves = [
            Steps(
                owner=place[rows],
                stage=stages[rows].astype(np.int8),
                entered=times[rows],
                kind=np.full(len(rows), kind, dtype=np.int8),
            )
            for rows, stages, times, kind in (
                (exists, np.full(count, INVOICE_NEW), created, 1),
                (exists[is_sent[exists]], np.full(count, INVOICE_SENT), sent, 2),
                (exists[ends[exists]], final, ended, 3),
            )
        ]
        return taken(items, exists), concatenated(moves)

    def _billed(self, rng: np.random.Generator, bounds: tuple[int, int]) -> tuple[Ints, Seconds]:
        """Deals with an invoice, and from when on."""
        deals, visits = self._deals, self._visits
        deal = np.arange(*bounds)
        starts = np.r_[deals.first_visit, len(visits.deal)]
        rows = np.arange(starts[bounds[0]], starts[bounds[1]])
        contract = np.array([STAGE_CODE[stage_id] for stage_id in CONTRACT_STAGES])
        on_contract = rows[np.isin(visits.stage[rows], contract)]
        reached = np.full(len(deal), NONE, dtype=np.int64)
        # Backwards, so that the first such visit is the one that stays.
        reached[visits.deal[on_contract][::-1] - bounds[0]] = visits.entered[on_contract][::-1]
        chance = rng.random(len(deal))
        is_won = IS_WON[deals.stage[deal]] & (deals.category[deal] != SETTER)
        is_open = ~IS_WON[deals.stage[deal]] & np.isin(deals.stage[deal], contract)
        share = np.where(is_won, _BILLED_SHARE, np.where(is_open, 0.6, 0.35))
        chosen = (chance < share) & (is_won | (reached != NONE)) & (deals.amount[deal] > 0)
        before_win = deals.moved[deal] - rng.integers(0, 3 * DAY, size=len(deal))
        entered = np.where(reached != NONE, reached, np.maximum(before_win, deals.created[deal]))
        return deal[chosen], entered[chosen]

    def requests(self) -> Items:
        """Items of the smart process: some won deals are installed afterwards."""
        deals = self._deals
        rng = stream(self._at.seed, "requests")
        wanted = IS_WON[deals.stage] & np.isin(deals.category, (SALES, WHOLESALE, OLD_SALES))
        deal = np.flatnonzero(wanted & (rng.random(len(deals.stage)) < _REQUEST_SHARE))
        count = len(deal)
        moments = [self._later(rng, deals.moved[deal] + rng.integers(HOUR, 2 * DAY, size=count))]
        for median in (5.0, 14.0, 6.0):
            stay = rng.lognormal(np.log(median), 0.6, size=count).clip(0.2, 60) * DAY
            moments.append(self._later(rng, moments[-1] + stay.astype(np.int64)))
        is_failed = rng.random(count) < 0.07
        last = self._at.clock - _MARGIN
        reached = np.stack([moment <= last for moment in moments]).sum(axis=0) - 1
        times = np.stack(moments)
        exists = np.flatnonzero(reached >= 0)
        final = len(REQUEST_STAGES) - 1
        stage = np.where((reached == 3) & is_failed, final, reached)
        items = Items(
            created=moments[0],
            deal=deal.astype(np.int32),
            amount=deals.amount[deal] // 1_000 * 100,
            stage=stage.astype(np.int8),
            stage_before=(reached - 1).astype(np.int8),
            moved=times[np.maximum(reached, 0), np.arange(count)],
            creator=deals.owner[deal],
            mover=rng.choice(self._at.staff.sellers[SALES], size=count).astype(np.int32),
            due=moments[0] - moments[0] % DAY + 14 * DAY,
        )
        exists = exists[np.argsort(items.created[exists], kind="stable")]
        return taken(items, exists)

    def _later(self, rng: np.random.Generator, times: Seconds) -> Seconds:
        """The times in working hours; the calendar ends a year after the clock."""
        return self._at.rhythm.snap_forward(rng, times.clip(max=self._at.clock + DAY))


def _line(
    deal: Ints,
    place: int,
    product: Ints,
    price: Ints,
    quantity: Ints | int = 1,
    discount: Ints | int = 0,
) -> ProductLines:
    """Rows of the deals; the price in kopecks is the one after the discount."""
    count = len(deal)
    off = np.broadcast_to(np.asarray(discount, dtype=np.int64), count)
    return ProductLines(
        deal=deal.astype(np.int32),
        place=np.full(count, place, dtype=np.int8),
        product=product.astype(np.int8),
        quantity=np.broadcast_to(np.asarray(quantity, dtype=np.int16), count),
        price=price.astype(np.int64),
        full_price=price * 100 // (100 - off),
        discount=off.astype(np.int8),
    )
