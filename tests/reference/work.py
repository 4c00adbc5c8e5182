"""Planned work, messages, touches and the stock of open deals, from SPEC.md and the definitions.

Read from the records of a Bitrix24 portal that one load has seen, so that who moved a card is known
for its last move only.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from sources.demo.store import PortalStore
from tests.reference.records import Portal
from tests.reference.rules import SECOND, Rules
from tests.reference.stages import visits

Card = tuple[str, int]
"""(deal or lead, id)"""
_CARD_TYPES = {1: "lead", 2: "deal"}
_TASK_PREFIXES = {"D": "deal", "L": "lead"}
_COMPLETED = 5


@dataclass(frozen=True)
class Touch:
    """What somebody did for a card, calls apart."""

    touch_type: str
    touched_at: int
    card: Card | None
    employee_id: int | None


@dataclass(frozen=True)
class Move:
    """A card came to another stage."""

    card: Card
    stage: tuple[int, str | None]
    moved_at: int
    employee_id: int | None


def task_counts(store: PortalStore) -> Counter[tuple[str, bool]]:
    """How many pieces of planned work there are, by kind and whether they are done."""
    found: Counter[tuple[str, bool]] = Counter()
    for row in store.query("select STATUS from task"):
        found["task", row["STATUS"] == _COMPLETED] += 1
    for row in store.query("select TYPE_ID, PROVIDER_ID, COMPLETED from activity"):
        if row["TYPE_ID"] == 1:
            found["meeting", bool(row["COMPLETED"])] += 1
        elif row["PROVIDER_ID"] == "CRM_TODO":
            found["todo", bool(row["COMPLETED"])] += 1
    return found


def touches(
    store: PortalStore, portal: Portal, rules: Rules, cards: int = 20, minutes: int = 5
) -> set[Touch]:
    """Every touch that is no call, for cards that count."""
    known = {("deal", deal.id) for deal in portal.deals}
    known |= {("lead", lead.id) for lead in portal.leads}
    found = list(_of_activities(store))
    for row in store.query("select * from task where STATUS = 5"):
        named = sorted(
            (prefix != "D", int(number))
            for prefix, number in (
                name.split("_") for name in json.loads(row["UF_CRM_TASK"] or "[]")
            )
            if prefix in _TASK_PREFIXES
        )
        card = ("lead" if named[0][0] else "deal", named[0][1]) if named else None
        done_at = row["CLOSED_DATE"] or row["CHANGED_DATE"]
        found.append(Touch("task", done_at, card, row["CLOSED_BY"] or row["RESPONSIBLE_ID"]))
    for row in store.query("select * from timeline_comment"):
        card = (row["ENTITY_TYPE"], row["ENTITY_ID"])
        found.append(Touch("comment", row["CREATED"], card, row["AUTHOR_ID"]))
    made = moves(store, portal, rules)
    of_masses = mass_moves(made, cards, minutes)
    found += [
        Touch("stage_move", move.moved_at, move.card, move.employee_id)
        for number, move in enumerate(made)
        if number not in of_masses
    ]
    return {
        touch if touch.card in known else replace(touch, card=None)
        for touch in found
        if touch.touch_type == "stage_move" or touch.employee_id
    }


def _of_activities(store: PortalStore) -> Iterator[Touch]:
    for row in store.query("select * from activity"):
        card_type = _CARD_TYPES.get(row["OWNER_TYPE_ID"])
        card = (card_type, row["OWNER_ID"]) if card_type else None
        who, began = row["RESPONSIBLE_ID"], row["START_TIME"] or row["CREATED"]
        if row["TYPE_ID"] == 1 and row["COMPLETED"]:
            held = min(row["START_TIME"] or row["LAST_UPDATED"], row["LAST_UPDATED"])
            yield Touch("meeting", held, card, who)
        elif row["PROVIDER_ID"] == "CRM_TODO" and row["COMPLETED"]:
            yield Touch("task", row["LAST_UPDATED"], card, who)
        elif row["PROVIDER_ID"] == "IMOPENLINES_SESSION" or (
            row["TYPE_ID"] == 4 and row["DIRECTION"] != 1
        ):
            yield Touch("message", began, card, who)


def moves(store: PortalStore, portal: Portal, rules: Rules) -> list[Move]:
    """Every visit but a card's first, with the mover as the card names it now."""
    movers: dict[tuple[Card, int], int | None] = {}
    for kind in ("deal", "lead"):
        for row in store.query(f"select ID, MOVED_TIME, MOVED_BY_ID from {kind}"):
            movers[(kind, row["ID"]), row["MOVED_TIME"]] = row["MOVED_BY_ID"] or None
    return [
        Move(
            card,
            (visit.category_id, visit.stage_id),
            visit.entered_at,
            movers.get((card, visit.entered_at)),
        )
        for visit in visits(portal, rules)
        if visit.position > 1 and not visit.is_inferred
        for card in [(visit.card_type, visit.card_id)]
    ]


def mass_moves(made: Sequence[Move], cards: int, minutes: int) -> set[int]:
    """Positions of the moves that belong to a mass: at least `cards` moves of one person (or of
    nobody known) into one stage within `minutes`, in whole seconds, both ends included.
    """
    groups: dict[object, list[tuple[int, int]]] = defaultdict(list)
    for number, move in enumerate(made):
        groups[move.stage, move.employee_id].append((move.moved_at // SECOND, number))
    found: set[int] = set()
    for group in groups.values():
        for began, _ in group:
            inside = [n for second, n in group if began <= second <= began + minutes * 60]
            if len(inside) >= cards:
                found.update(inside)
    return found


def open_stock(
    portal: Portal, rules: Rules, amounts: Mapping[int, Decimal], days: Iterable[dt.date]
) -> dict[tuple[dt.date, int, str | None], tuple[int, Decimal]]:
    """Deals that stand open at the end of each day (at the cut on the last one), one by one.

    Returns:
        By day, pipeline and stage the number of deals and the sum of their amounts.
    """
    zone = ZoneInfo(rules.time_zone)
    stays = [v for v in visits(portal, rules) if v.card_type == "deal" and v.semantics == "open"]
    found: dict[tuple[dt.date, int, str | None], tuple[int, Decimal]] = {}
    for day in days:
        midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone)
        end = int(midnight.timestamp()) * SECOND
        for visit in stays:
            if visit.entered_at < end and (visit.left_at is None or visit.left_at >= end):
                key = (day, visit.category_id, visit.stage_id)
                count, amount = found.get(key, (0, Decimal(0)))
                found[key] = (count + 1, amount + amounts.get(visit.card_id, Decimal(0)))
    return found
