"""Calls, the cards they belong to, and the call load (SPEC §1 "client", §2 "Calls", R5).

A call is the CRM's row (or its rows of one CALL_ID), with what the telephony knows of it, or the
telephony's alone.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from tests.reference.phones import e164
from tests.reference.records import CallRow, Deal, Lead, Portal
from tests.reference.rules import DAY, MINUTE, SECOND, PipelineRole, Rules, local_date
from tests.reference.stages import (
    CardKey,
    CardType,
    Client,
    Visit,
    client_of_card,
    index_at,
    known_deals,
    known_leads,
    run_start,
    visits_by_card,
)
from tests.reference.telephony import PbxCall, pairs

Direction = Literal["inbound", "outbound", "internal"]
MatchMethod = Literal[
    "bound_deal",
    "bound_lead",
    "only_open_deal",
    "chosen_open_deal",
    "open_lead",
    "started_deal",
    "started_lead",
    "before_deal",
    "after_close",
    "ignored_pipeline",
    "no_open_card",
    "unknown_number",
    "not_external",
]

_DIRECTIONS: dict[int, Direction] = {1: "outbound", 2: "inbound", 3: "inbound", 4: "outbound"}
_INFORMATIONAL = 5
_CALL_ACTIVITY = 2
_CARD_TYPES: dict[int | str, CardType] = {1: "lead", 2: "deal", "LEAD": "lead", "DEAL": "deal"}
"""By the number in activities and the word in calls."""


@dataclass(frozen=True)
class Call:
    """One call with the card and the stage it belongs to."""

    call_id: int | None
    """ID of the row that represents the call: the lowest of its rows; None: only the telephony has
    the call."""
    pbx_call_id: str | None
    started_at: int
    portal_user_id: int | None
    direction: Direction | None
    is_external: bool
    is_answered: bool
    is_successful: bool
    talk_seconds: int
    client: Client | None
    is_shared_number: bool
    match_method: MatchMethod
    card_type: CardType | None
    card_id: int | None
    category_id: int | None
    stage_id: str | None
    """None without a card, and on the unknown open stage of a closed card without history."""
    visit_position: int | None
    is_ambiguous: bool


@dataclass(frozen=True)
class CallLoad:
    """Calls of one local date on one stage, or in the bucket of one match method."""

    called_on: dt.date
    category_id: int | None
    stage_id: str | None
    bucket: MatchMethod | None
    calls: int
    inbound: int
    outbound: int
    answered: int
    successful: int
    talk_seconds: int


def calls(
    portal: Portal,
    rules: Rules,
    exchange: Sequence[PbxCall] = (),
    talkers: Mapping[str, int | None] = MappingProxyType({}),
) -> list[Call]:
    """Every call up to the cut once: those of the CRM, then those that only the telephony has.

    Args:
        portal: the CRM.
        rules: the company's.
        exchange: the calls of the telephony that is tied to it.
        talkers: by the telephony's call id the user who had the extension.
    """
    groups = call_groups(portal, rules)
    matcher = _Matcher(portal, rules, groups)
    known = {call.call_id: call for call in exchange}
    twins = {pair.crm_id: known[pair.pbx_id] for pair in pairs(groups, exchange)}
    found = [_call(rows, matcher, rules, twins.get(rows[0].id)) for rows in groups]
    paired = {call.call_id for call in twins.values()}
    for call in exchange:
        if call.call_id not in paired:
            row = _row_of_telephony(call, talkers.get(call.call_id))
            made = _call([row], matcher, rules, call)
            found.append(replace(made, call_id=None))
    return found


def _row_of_telephony(call: PbxCall, talker: int | None) -> CallRow:
    """A call as the CRM would have it, had it been told."""
    return CallRow(
        id=0,
        call_start_date=call.start * SECOND,
        call_type={"inbound": 2, "outbound": 1}.get(call.direction, 0),
        phone_number=call.phone_number,
        portal_user_id=talker,
        call_category="internal" if call.direction == "internal" else "external",
        call_failed_code="304",
    )


def call_groups(portal: Portal, rules: Rules) -> list[list[CallRow]]:
    """The rows of each call by numeric ID; the first row represents the call.

    A CALL_ID on several rows is one call; a row without one is a call of its own.
    """
    cut = rules.cut_of(portal)
    groups: dict[str | int, list[CallRow]] = defaultdict(list)
    for row in sorted(portal.calls, key=lambda row: row.id):
        # Gap: a row after the cut waits on its own, even if other rows of its call are there.
        if row.call_start_date <= cut:
            groups[row.call_id or row.id].append(row)
    return sorted(groups.values(), key=lambda rows: rows[0].id)


def call_load(found: Iterable[Call], rules: Rules) -> list[CallLoad]:
    """R5 for the segment "all": external calls per local date and stage or bucket, sorted."""
    groups: dict[tuple[dt.date, int | None, str | None, MatchMethod | None], list[Call]] = (
        defaultdict(list)
    )
    for call in found:
        if not call.is_external:
            continue
        # Gap: on the unknown open stage a call stays in its pipeline, in its method's bucket.
        bucket = call.match_method if call.stage_id is None else None
        called_on = local_date(call.started_at, rules)
        groups[called_on, call.category_id, call.stage_id, bucket].append(call)
    load = [
        CallLoad(
            *key,
            calls=len(group),
            inbound=sum(call.direction == "inbound" for call in group),
            outbound=sum(call.direction == "outbound" for call in group),
            answered=sum(call.is_answered for call in group),
            successful=sum(call.is_successful for call in group),
            talk_seconds=sum(call.talk_seconds for call in group),
        )
        for key, group in groups.items()
    ]
    return sorted(
        load,
        key=lambda row: (
            row.called_on,
            float("-inf") if row.category_id is None else row.category_id,
            row.stage_id or "",
            row.bucket or "",
        ),
    )


@dataclass(frozen=True)
class _Caller:
    client: Client | None
    contact_ids: frozenset[int] = frozenset()
    """The calling contacts: cards that name them are the client's too."""
    is_shared_number: bool = False


@dataclass(frozen=True)
class _Match:
    method: MatchMethod
    visit: Visit | None = None
    is_ambiguous: bool = False


def _call(rows: Sequence[CallRow], matcher: _Matcher, rules: Rules, twin: PbxCall | None) -> Call:
    # Gap: what a call is (start, talker, result, length, number) is told by its first row alone.
    first = rows[0]
    is_external = _is_external(first)
    is_answered = _is_answered(first)
    # Gap: negative and missing lengths are 0 seconds of talk (Q16 names them).
    talk_seconds = max(first.call_duration or 0, 0) if is_answered else 0
    if twin is not None and twin.is_known:
        is_answered = twin.is_answered
        talk_seconds = twin.talk_seconds if is_answered else 0
    # Gap: a call that is not external gets neither a client nor a card.
    caller = matcher.caller(rows) if is_external else _Caller(None)
    match = matcher.match(rows, caller) if is_external else _Match("not_external")
    visit = match.visit
    return Call(
        call_id=first.id,
        pbx_call_id=twin.call_id if twin else None,
        started_at=first.call_start_date,
        portal_user_id=first.portal_user_id or None,
        # Gap: an informational call, or one of a type unknown to us, has no direction.
        direction=_direction(first, twin),
        is_external=is_external,
        is_answered=is_answered,
        is_successful=is_answered and talk_seconds >= rules.successful_call_seconds,
        talk_seconds=talk_seconds,
        client=caller.client,
        is_shared_number=caller.is_shared_number,
        match_method=match.method,
        card_type=visit.card_type if visit else None,
        card_id=visit.card_id if visit else None,
        category_id=visit.category_id if visit else None,
        stage_id=visit.stage_id if visit else None,
        visit_position=visit.position if visit else None,
        is_ambiguous=match.is_ambiguous,
    )


def _direction(row: CallRow, twin: PbxCall | None) -> Direction | None:
    if row.call_category == "internal" and twin is not None:
        return twin.direction
    return _DIRECTIONS.get(row.call_type)


def _is_external(row: CallRow) -> bool:
    return row.call_type != _INFORMATIONAL and (row.call_category or "external") == "external"


def _is_answered(row: CallRow) -> bool:
    if row.call_failed_code:
        return row.call_failed_code == "200"
    return (row.call_duration or 0) > 0


class _Matcher:
    """Finds the client of a call and the card it belongs to, with the indexes for both."""

    def __init__(self, portal: Portal, rules: Rules, groups: Sequence[Sequence[CallRow]]) -> None:
        self._rules = rules
        deals, leads = known_deals(portal, rules), known_leads(portal, rules)
        self._cards: dict[CardKey, Deal | Lead] = {}
        self._cards |= {("deal", deal.id): deal for deal in deals}
        self._cards |= {("lead", lead.id): lead for lead in leads}
        self._lead_of_deal: dict[CardKey, CardKey] = {
            ("deal", deal.id): ("lead", deal.lead_id)
            for deal in deals
            if deal.lead_id and ("lead", deal.lead_id) in self._cards
        }
        self._deals_of_lead: dict[CardKey, list[CardKey]] = defaultdict(list)
        for made, lead in self._lead_of_deal.items():
            self._deals_of_lead[lead].append(made)
        self._visits = visits_by_card(portal, rules)
        # Gap: contacts and activities are taken as they stand, without regard to the cut.
        self._contacts = {contact.id: contact for contact in portal.contacts}
        # Gap: an activity of another kind than a call binds no call.
        self._cards_of_activity = {
            activity.id: {
                (_CARD_TYPES[entity_type], entity_id)
                for entity_type, entity_id in (
                    (activity.owner_type_id, activity.owner_id),
                    *activity.bindings,
                )
                if entity_type in _CARD_TYPES
            }
            for activity in portal.activities
            if activity.type_id == _CALL_ACTIVITY
        }
        self._contacts_of_number: dict[str, set[int]] = defaultdict(set)
        for contact in portal.contacts:
            for phone in contact.phones:
                number = e164(phone, rules.default_region)
                if number is not None:
                    self._contacts_of_number[number].add(contact.id)
        self._cards_of_client: dict[Client, set[CardKey]] = defaultdict(set)
        self._cards_of_contact: dict[int, set[CardKey]] = defaultdict(set)
        for key, card in self._cards.items():
            client = client_of_card(card)
            if client is not None:
                self._cards_of_client[client].add(key)
            if card.contact_id:
                self._cards_of_contact[card.contact_id].add(key)
        self._touches: dict[Client, list[int]] = defaultdict(list)
        for rows in groups:
            named = self._named_by_crm(rows) if _is_external(rows[0]) else None
            if named is not None and named.client is not None:
                self._touches[named.client].append(rows[0].call_start_date)
        for starts in self._touches.values():
            starts.sort()

    def caller(self, rows: Sequence[CallRow]) -> _Caller:
        """The client of a call: of the CRM's entity, else by the number."""
        return self._named_by_crm(rows) or self._found_by_number(rows[0])

    def match(self, rows: Sequence[CallRow], caller: _Caller) -> _Match:
        """The first method of SPEC's list that applies."""
        return self._match_bound(rows) or self._match_client(rows[0], caller)

    def _named_by_crm(self, rows: Sequence[CallRow]) -> _Caller | None:
        # Gap: of several rows with different entities the first that leads to a client decides.
        for row in rows:
            entity_type, entity_id = (row.crm_entity_type or "").upper(), row.crm_entity_id
            if not entity_id:
                continue
            # Gap: a deleted contact leads nowhere (merging duplicates deletes ids): the number
            # finds the contact that took over. Companies' own rows play no part: all count.
            if entity_type == "CONTACT" and entity_id in self._contacts:
                return _Caller(self._client_of_contact(entity_id), frozenset({entity_id}))
            if entity_type == "COMPANY":
                return _Caller(("company", entity_id))
            # Gap: a card as the CRM's entity names its client, but no calling contact.
            if entity_type in _CARD_TYPES:
                card = self._cards.get((_CARD_TYPES[entity_type], entity_id))
                client = None if card is None else client_of_card(card)
                if client is not None:
                    return _Caller(client)
        return None

    def _found_by_number(self, row: CallRow) -> _Caller:
        number = e164(row.phone_number or "", self._rules.default_region)
        contacts_of_client: dict[Client, set[int]] = defaultdict(set)
        for contact_id in self._contacts_of_number.get(number or "", ()):
            contacts_of_client[self._client_of_contact(contact_id)].add(contact_id)
        if not contacts_of_client:
            return _Caller(None)
        callers = [
            _Caller(client, frozenset(contact_ids), is_shared_number=len(contacts_of_client) > 1)
            for client, contact_ids in contacts_of_client.items()
        ]
        if len(callers) == 1:
            return callers[0]
        return min(callers, key=lambda caller: self._shared_number_order(caller, row))

    def _shared_number_order(self, caller: _Caller, row: CallRow) -> tuple[bool, float, int, int]:
        """Open card first, then latest touch, then lowest key: (3 contact, 4 company), then id."""
        assert caller.client is not None
        started_at = row.call_start_date
        # Gap: cards in ignored pipelines are not "an open card" here.
        cards = [
            *self._open_deals(caller, started_at, ("sales", "setter", "service")),
            *self._open_leads(caller, started_at),
        ]
        touched_at = self._latest_touch(caller.client, started_at)
        kind, number = caller.client
        return (
            not cards,
            float("inf") if touched_at is None else -touched_at,
            3 if kind == "contact" else 4,
            number,
        )

    def _latest_touch(self, client: Client, before: int) -> int | None:
        """Start of the latest earlier external call whose CRM entity names the client.

        Gap: messages, meetings, moves join with their sources; calls found by number don't count,
        or the order of the calls would decide. A call at the same instant is not earlier.
        """
        starts = self._touches.get(client, [])
        position = bisect_left(starts, before)
        return starts[position - 1] if position else None

    def _match_bound(self, rows: Sequence[CallRow]) -> _Match | None:
        """Methods 1 and 2, in whatever pipeline the deals are; None without an existing card."""
        bound = {card for card in self._bindings(rows) if card in self._cards}
        deals = {card for card in bound if card[0] == "deal"}
        if deals:
            return self._match_bound_deals(deals, rows[0])
        return self._match_bound_leads(bound, rows[0]) if bound else None

    def _bindings(self, rows: Sequence[CallRow]) -> Iterable[CardKey]:
        for row in rows:
            card_type = _CARD_TYPES.get((row.crm_entity_type or "").upper())
            if card_type is not None and row.crm_entity_id:
                yield card_type, row.crm_entity_id
            if row.crm_activity_id:
                yield from self._cards_of_activity.get(row.crm_activity_id, ())

    def _match_bound_deals(self, deals: Collection[CardKey], row: CallRow) -> _Match:
        started_at = row.call_start_date
        standing = self._standing(deals, started_at)
        open_visits = [visit for visit in standing if visit.semantics == "open"]
        if open_visits:
            # Gap: a choice among several bound open deals is flagged ambiguous too; the order has
            # no word on pipeline roles.
            return _Match("bound_deal", self._chosen(open_visits, row), len(open_visits) > 1)
        if standing:
            return _Match("after_close", self._latest_closed(standing)[1])
        # Gap: if the earliest came from no lead that existed, leads to which the call is bound
        # beside it play no part.
        lead = self._lead_of_deal.get(self._first_created(deals))
        # Gap: a lead created in the instant of the call existed.
        if lead is not None and self._cards[lead].date_create <= started_at:
            # Gap: "as in 2" also where the deal made from a converted lead is another one than the
            # bound deal, perhaps one that was there before the call.
            return self._match_bound_leads([lead], row)
        return self._match_created_later(deals, started_at)

    def _match_bound_leads(self, leads: Collection[CardKey], row: CallRow) -> _Match:
        """Method 2: an open lead, else a converted one, else junk, else the next created."""
        started_at = row.call_start_date
        standing = self._standing(leads, started_at)
        of_semantics: dict[str, list[Visit]] = defaultdict(list)
        for visit in standing:
            of_semantics[visit.semantics].append(visit)
        if open_visits := of_semantics["open"]:
            return _Match("bound_lead", self._chosen(open_visits, row), len(open_visits) > 1)
        if converted := of_semantics["won"]:
            # Gap: the latest conversion decides even if no deal was made from that lead, but one
            # from another.
            visit = self._latest_closed(converted)[1]
            deals = self._deals_of_lead.get(visit.card)
            if deals:
                deal = self._first_created(deals)
                visit = self._visit_at(deal, started_at) or self._visits[deal][0]
            return _Match("bound_lead", visit)
        if standing:
            return _Match("bound_lead", self._latest_closed(standing)[1])
        return _Match("bound_lead", self._visits[self._first_created(leads)][0])

    def _match_created_later(self, cards: Collection[CardKey], started_at: int) -> _Match:
        first = self._first_created(cards)
        visit = self._visits[first][0]
        if first[0] == "lead":
            return _Match("started_lead", visit)
        # Gap: both ends of the windows (60 minutes, 30 days) are inside.
        is_started = self._cards[first].date_create <= started_at + self._start_window
        return _Match("started_deal" if is_started else "before_deal", visit)

    def _match_client(self, row: CallRow, caller: _Caller) -> _Match:
        """Methods 3 to 10."""
        if caller.client is None:
            return _Match("unknown_number")
        started_at = row.call_start_date
        ranks: list[tuple[PipelineRole, ...]] = [("sales", "setter"), ("service",)]
        for roles in ranks:
            deals = self._open_deals(caller, started_at, roles)
            if len(deals) == 1:
                return _Match("only_open_deal", deals[0])
            if deals:
                return _Match("chosen_open_deal", self._chosen(deals, row), is_ambiguous=True)
        leads = self._open_leads(caller, started_at)
        if leads:
            return _Match("open_lead", self._chosen(leads, row), len(leads) > 1)
        # Gap: a deal that starts in an ignored pipeline is not started by a call; a card that is
        # born closed is.
        later = [
            card
            for card in self._cards_of(caller)
            if started_at < self._cards[card].date_create <= started_at + self._start_window
            and not self._is_ignored(self._visits[card][0])
        ]
        if later:
            return self._match_created_later(later, started_at)
        closed = [
            visit
            for visit in self._standing(self._cards_of(caller), started_at)
            if visit.card_type == "deal"
            and visit.semantics != "open"
            and not self._is_ignored(visit)
        ]
        if closed:
            closed_at, visit = self._latest_closed(closed)
            if started_at - closed_at <= self._rules.after_close_days * DAY:
                return _Match("after_close", visit)
        # Gap: the bucket of ignored pipelines names no deal and no stage.
        if self._open_deals(caller, started_at, ["ignore"]):
            return _Match("ignored_pipeline")
        return _Match("no_open_card")

    def _cards_of(self, caller: _Caller) -> set[CardKey]:
        """The client's cards: those whose client it is, or that name the calling contact."""
        assert caller.client is not None
        cards = set(self._cards_of_client.get(caller.client, ()))
        for contact_id in caller.contact_ids:
            cards |= self._cards_of_contact.get(contact_id, set())
        return cards

    def _open_deals(
        self, caller: _Caller, instant: int, roles: Collection[PipelineRole]
    ) -> list[Visit]:
        """Visits on which the client's deals stood open at an instant.

        Gap: the role is that of the pipeline the deal was in at that instant, not now.
        """
        return [
            visit
            for visit in self._standing(self._cards_of(caller), instant)
            if visit.card_type == "deal"
            and visit.semantics == "open"
            and self._rules.role_of(visit.category_id) in roles
        ]

    def _open_leads(self, caller: _Caller, instant: int) -> list[Visit]:
        return [
            visit
            for visit in self._standing(self._cards_of(caller), instant)
            if visit.card_type == "lead" and visit.semantics == "open"
        ]

    def _chosen(self, open_visits: Sequence[Visit], row: CallRow) -> Visit:
        """Method 4's order: the talker's own, the latest stage entry, the lowest id."""

        def order(visit: Visit) -> tuple[bool, int, int]:
            # Gap: owner as of now, since Bitrix24 keeps no history of owners.
            owner = self._cards[visit.card].assigned_by_id
            is_own = bool(row.portal_user_id) and owner == row.portal_user_id
            return (not is_own, -visit.entered_at, visit.card_id)

        return min(open_visits, key=order)

    def _latest_closed(self, closed_visits: Sequence[Visit]) -> tuple[int, Visit]:
        """(closed at, visit) of the card closed last, seen from those visits of one card type.

        Gap: of two cards closed at the same instant the lowest id.
        """

        def closed_at(visit: Visit) -> int:
            return run_start(self._visits[visit.card], visit.position - 1)

        latest = max(closed_visits, key=lambda visit: (closed_at(visit), -visit.card_id))
        return closed_at(latest), latest

    def _first_created(self, cards: Collection[CardKey]) -> CardKey:
        # Gap: of cards created at the same instant deals before leads, then the lowest id.
        return min(cards, key=lambda card: (self._cards[card].date_create, card))

    def _standing(self, cards: Collection[CardKey], instant: int) -> list[Visit]:
        """Where those of the cards stood that existed at an instant."""
        return [visit for card in cards if (visit := self._visit_at(card, instant)) is not None]

    def _visit_at(self, card: CardKey, instant: int) -> Visit | None:
        stays = self._visits[card]
        index = index_at(stays, instant)
        return stays[index] if index >= 0 else None

    def _is_ignored(self, visit: Visit) -> bool:
        return visit.card_type == "deal" and self._rules.role_of(visit.category_id) == "ignore"

    def _client_of_contact(self, contact_id: int) -> Client:
        company_id = self._contacts[contact_id].company_id
        return ("company", company_id) if company_id else ("contact", contact_id)

    @property
    def _start_window(self) -> int:
        return self._rules.call_starts_card_minutes * MINUTE
