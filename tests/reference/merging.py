"""One call of CRM and telephony (SPEC §2 "Calls"; docs/definitions.md, "Calls of the telephony").

Takes rows as the systems print them, and gives every call once. What the fields of a system mean
is taken from its documentation (Asterisk, Mango, Zadarma, any table of calls; Bitrix24, amoCRM).
Pairs are found as the rule says it: all candidates in a line, the best first.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.reference.calls import e164
from tests.reference.rules import SECOND, Rules

Row = Mapping[str, Any]

WINDOW_SECONDS = 90
ID_WINDOW_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Holder:
    """Whose an extension is, over a half-open time; None has no end."""

    extension: str
    employee_id: int
    since: int | None = None
    until: int | None = None

    def holds_at(self, instant: int) -> bool:
        return (self.since is None or self.since <= instant) and (
            self.until is None or instant < self.until
        )


@dataclass(frozen=True)
class Crm:
    """A connection of Bitrix24 or amoCRM.

    Attributes:
        rows: call statistics, or notes; instants are microseconds.
        users: names by id.
        phones: extensions that the users themselves have, as loads have seen them.
    """

    source_key: str
    cut: int
    rows: tuple[Row, ...]
    users: Mapping[int, str]
    phones: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class Pbx:
    """A telephony, tied to a CRM connection.

    Attributes:
        rows: as it prints them, instants without a zone in its own.
        extensions: lines of the company's file.
        talkers: the company's file of names, in lower case.
        directions: what a table's own words mean.
        results: what a table's own words mean.
    """

    source_key: str
    crm: str
    cut: int
    zone: str
    rows: tuple[Row, ...]
    extensions: tuple[Holder, ...] = ()
    talkers: Mapping[str, int] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)

    @property
    def system(self) -> str:
        return self.source_key.partition(":")[0]


@dataclass(frozen=True)
class Company:
    """CRM connections and the telephony tied to them."""

    crms: tuple[Crm, ...]
    pbxs: tuple[Pbx, ...]


class MergedCall(NamedTuple):
    """One call, in the order of the columns it is compared by."""

    source_key: str
    call_id: int | None
    pbx_source_key: str | None
    pbx_call_id: str | None
    call_sources: str
    pair_basis: str | None
    started_at: int
    answered_at: int | None
    direction: str | None
    is_external: bool
    call_result: str
    is_answered: bool
    is_successful: bool
    wait_seconds: int | None
    talk_seconds: int
    total_seconds: int
    talk_basis: str
    talker_id: int | None
    talker_basis: str
    line: str | None
    extension: str | None
    rung_extensions: str | None
    leg_count: int | None
    phone_e164: str | None


@dataclass(frozen=True)
class CrmCall:
    """A call of the CRM: the row that tells about it, and what all its rows name."""

    source_key: str
    id: int
    links: frozenset[str]
    deals: frozenset[int]
    started_at: int
    direction: str | None
    is_external: bool
    result: str
    is_answered: bool
    seconds: int
    talker_id: int | None
    talker_basis: str
    line: str | None
    phone: str | None


@dataclass(frozen=True)
class Leg:
    """A row of a telephony."""

    call_id: str
    ids: tuple[str, ...]
    place: tuple[Any, ...]
    direction: str | None
    started_at: int
    total: int
    talk: int
    basis: str
    result: str
    client: str | None
    line: str | None
    extension: str | None
    name: str | None


@dataclass(frozen=True)
class PbxCall:
    """A call of a telephony: its legs in one."""

    source_key: str
    crm: str
    id: str
    links: frozenset[str]
    started_at: int
    answered_at: int | None
    direction: str | None
    is_external: bool
    result: str
    wait: int
    talk: int
    total: int
    basis: str
    talker_id: int | None
    talker_basis: str
    line: str | None
    extension: str | None
    extensions: str | None
    legs: int
    phone: str | None

    @property
    def order(self) -> tuple[str, int, str]:
        # Gap: ids of a telephony are texts; shorter ones first, so that 999 comes before 1000.
        return self.source_key, len(self.id), self.id


def merged_calls(company: Company, rules: Rules) -> list[MergedCall]:
    """Every call of a company once."""
    of_crm = {crm.source_key: crm_calls(crm, rules) for crm in company.crms}
    of_pbx = [call for pbx in company.pbxs for call in pbx_calls(pbx, company, rules)]
    found = []
    for source_key, theirs in of_crm.items():
        tied = [call for call in of_pbx if call.crm == source_key]
        by_id = _pairs_by_id(theirs, tied)
        free_crm = [call for call in theirs if call.id not in {crm.id for crm, _ in by_id}]
        gone = {(pbx.source_key, pbx.id) for _, pbx in by_id}
        free_pbx = [call for call in tied if (call.source_key, call.id) not in gone]
        by_phone = _pairs_by_phone(free_crm, free_pbx)
        found += [_merged(crm, pbx, "id", rules) for crm, pbx in by_id]
        found += [_merged(crm, pbx, "phone", rules) for crm, pbx in by_phone]
        gone |= {(pbx.source_key, pbx.id) for _, pbx in by_phone}
        gone_crm = {crm.id for crm, _ in (*by_id, *by_phone)}
        found += [_merged(call, None, None, rules) for call in theirs if call.id not in gone_crm]
        found += [
            _merged(None, call, None, rules)
            for call in tied
            if (call.source_key, call.id) not in gone
        ]
    return found


def bound_deals(company: Company, rules: Rules) -> set[tuple[str, int, int]]:
    """Connection, call and deal: a call is bound to the deals that any of its rows names."""
    return {
        (crm.source_key, call.id, deal)
        for crm in company.crms
        for call in crm_calls(crm, rules)
        for deal in call.deals
    }


# Pairs


def _pairs_by_id(crm: Sequence[CrmCall], pbx: Sequence[PbxCall]) -> list[tuple[CrmCall, PbxCall]]:
    """Pairs with an id in common, each the other's nearest, a day apart at most."""

    def near(ours: CrmCall, theirs: PbxCall) -> bool:
        return bool(ours.links & theirs.links) and _distance(ours, theirs) <= ID_WINDOW_SECONDS

    choice_of_crm = {}
    for call in crm:
        known = [other for other in pbx if near(call, other)]
        if known:
            choice_of_crm[call.id] = min(known, key=lambda p: (_distance(call, p), p.order))
    found = []
    for other in pbx:
        known_to = [call for call in crm if near(call, other)]
        if known_to:
            choice = min(known_to, key=lambda c: (_distance(c, other), c.id))
            if choice_of_crm[choice.id] is other:
                found.append((choice, other))
    return found


def _pairs_by_phone(
    crm: Sequence[CrmCall], pbx: Sequence[PbxCall]
) -> list[tuple[CrmCall, PbxCall]]:
    """Of all pairs with one number and direction within the window, the best first."""
    candidates = sorted(
        (
            (_distance(ours, theirs), _second(theirs) < _second(ours), _second(ours), ours.id),
            theirs.order,
            ours_place,
            theirs_place,
        )
        for ours_place, ours in enumerate(crm)
        for theirs_place, theirs in enumerate(pbx)
        if ours.is_external
        and theirs.is_external
        and ours.phone is not None
        and ours.phone == theirs.phone
        and ours.direction is not None
        and ours.direction == theirs.direction
        and _distance(ours, theirs) <= WINDOW_SECONDS
    )
    free_crm, free_pbx = set(range(len(crm))), set(range(len(pbx)))
    found = []
    for *_, ours_place, theirs_place in candidates:
        if ours_place in free_crm and theirs_place in free_pbx:
            free_crm.remove(ours_place)
            free_pbx.remove(theirs_place)
            found.append((crm[ours_place], pbx[theirs_place]))
    return found


def _second(call: CrmCall | PbxCall) -> int:
    # Gap: starts are compared in whole seconds, fractions cut off: most systems have no others.
    return call.started_at // SECOND


def _distance(ours: CrmCall, theirs: PbxCall) -> int:
    return abs(_second(ours) - _second(theirs))


def _merged(
    crm: CrmCall | None, pbx: PbxCall | None, basis: str | None, rules: Rules
) -> MergedCall:
    """Whose call it is the CRM says, how it went the telephony."""
    if crm is None:
        assert pbx is not None
        result, is_answered, talk, talk_basis = pbx.result, pbx.result == "answered", pbx.talk, ""
        talk_basis = pbx.basis
    else:
        result, is_answered = crm.result, crm.is_answered
        talk, talk_basis = crm.seconds if crm.is_answered else 0, "talk"
        if pbx and pbx.result != "unknown":
            result, is_answered = pbx.result, pbx.result == "answered"
            # Gap: the telephony's talk is measured talk. Where it has the whole call's length only,
            # the CRM's length stands, unless to the CRM nobody answered.
            if pbx.basis == "talk" or not crm.is_answered:
                talk, talk_basis = pbx.talk, pbx.basis
    if not is_answered:
        talk = 0
    # Gap: who is merely responsible for a note, or wrote it, goes after extension and name.
    names = [(crm.talker_id, crm.talker_basis)] if crm else []
    names += [(pbx.talker_id, pbx.talker_basis)] if pbx else []
    names.sort(key=lambda one: _TALKER_ORDER.index(one[1]))
    talker_id, talker_basis = next((one for one in names if one[0]), (None, "unknown"))
    # Gap: where the CRM answers what the telephony could not tell, the wait is not known either.
    is_wait_known = pbx and (pbx.result == "answered") == is_answered
    total = pbx.total if pbx else crm.seconds if crm else 0

    def both(name: str) -> Any:
        told = (getattr(one, name) for one in (crm, pbx) if one)
        return next((value for value in told if value is not None), None)

    return MergedCall(
        source_key=crm.source_key if crm else pbx.crm if pbx else "",
        call_id=crm.id if crm else None,
        pbx_source_key=pbx.source_key if pbx else None,
        pbx_call_id=pbx.id if pbx else None,
        call_sources="crm_and_pbx" if crm and pbx else "crm" if crm else "pbx",
        pair_basis=basis,
        started_at=both("started_at"),
        answered_at=pbx.answered_at if pbx else None,
        # Gap: a type of the CRM that has no direction gets the telephony's.
        direction=both("direction"),
        is_external=both("is_external"),
        call_result=result,
        is_answered=is_answered,
        is_successful=is_answered and talk >= rules.successful_call_seconds,
        wait_seconds=pbx.wait if pbx and is_wait_known else None,
        talk_seconds=talk,
        total_seconds=max(total, talk),
        talk_basis=talk_basis,
        talker_id=talker_id,
        talker_basis=talker_basis,
        line=pbx.line if pbx and pbx.line else crm.line if crm else None,
        extension=pbx.extension if pbx else None,
        rung_extensions=pbx.extensions if pbx else None,
        leg_count=pbx.legs if pbx else None,
        phone_e164=both("phone"),
    )


_TALKER_ORDER = ("crm_user", "extension", "name", "crm_responsible", "crm_creator", "unknown")


# Calls of a CRM


def crm_calls(crm: Crm, rules: Rules) -> list[CrmCall]:
    """Rows up to the cut, one call per id; the row with the lowest id tells about it."""
    is_amo = crm.source_key.startswith("amocrm")
    read = _amo_row if is_amo else _bitrix_row
    groups: dict[Any, list[CrmCall]] = defaultdict(list)
    for row in sorted(crm.rows, key=lambda row: row["id" if is_amo else "ID"]):
        call, call_id = read(row, crm, rules)
        if call.started_at <= crm.cut:
            groups[call_id or call.id].append(call)
    return [
        CrmCall(
            **{
                **rows[0].__dict__,
                "links": frozenset().union(*(row.links for row in rows)),
                "deals": frozenset().union(*(row.deals for row in rows)),
            }
        )
        for rows in groups.values()
    ]


_BITRIX_RESULTS = {"200": "answered", "304": "missed", "486": "busy", "404": "wrong_number"}
_AMO_RESULTS = {4: "answered", 5: "wrong_number", 6: "missed", 7: "busy"}


def _bitrix_row(row: Row, crm: Crm, rules: Rules) -> tuple[CrmCall, str | None]:
    kind, code = row["CALL_TYPE"], row["CALL_FAILED_CODE"] or None
    seconds = max(row["CALL_DURATION"] or 0, 0)
    talker = row["PORTAL_USER_ID"]
    call = CrmCall(
        source_key=crm.source_key,
        id=row["ID"],
        links=_ids(row["CALL_ID"], row.get("EXTERNAL_CALL_ID")),
        deals=frozenset([row["CRM_ENTITY_ID"]] if row.get("CRM_ENTITY_TYPE") == "DEAL" else []),
        started_at=row["CALL_START_DATE"],
        direction={1: "outbound", 2: "inbound", 3: "inbound", 4: "outbound"}.get(kind),
        is_external=kind != 5 and (row["CALL_CATEGORY"] or "external") == "external",
        result=_BITRIX_RESULTS[code] if code else "unknown",
        is_answered=code == "200" if code else seconds > 0,
        seconds=seconds,
        talker_id=talker,
        talker_basis="crm_user" if talker else "unknown",
        line=row["PORTAL_NUMBER"] or None,
        phone=_phone(row["PHONE_NUMBER"], rules),
    )
    return call, row["CALL_ID"] or None


def _amo_row(row: Row, crm: Crm, rules: Rules) -> tuple[CrmCall, str | None]:
    told = row["params"]
    seconds = max(told.get("duration") or 0, 0)
    status = told.get("call_status")
    result = _AMO_RESULTS.get(status, "unknown")
    speaker = str(told.get("call_responsible") or "").strip()
    named = [number for number, name in crm.users.items() if name.lower() == speaker.lower()]
    by_field = int(speaker) if speaker.isdigit() else named[0] if len(named) == 1 else None
    talker_id, talker_basis = next(
        (
            (number, basis)
            for number, basis in (
                (by_field, "crm_user"),
                (row["responsible_user_id"], "crm_responsible"),
                (row["created_by"], "crm_creator"),
            )
            if number
        ),
        (None, "unknown"),
    )
    call = CrmCall(
        source_key=crm.source_key,
        id=row["id"],
        links=_ids(told.get("uniq")),
        deals=frozenset([row["entity_id"]] if row["entity_type"] == "leads" else []),
        started_at=row["created_at"],
        direction="inbound" if row["note_type"] == "call_in" else "outbound",
        is_external=True,
        result=result,
        is_answered=result == "answered" if status in _AMO_RESULTS else seconds > 0,
        seconds=seconds,
        talker_id=talker_id,
        talker_basis=talker_basis,
        line=None,
        phone=_phone(told.get("phone"), rules),
    )
    return call, told.get("uniq") or None


def _ids(*found: str | None) -> frozenset[str]:
    return frozenset(one for one in found if one)


def _phone(text: str | None, rules: Rules) -> str | None:
    return e164(text, rules.default_region) if text else None


# Calls of a telephony


def pbx_calls(pbx: Pbx, company: Company, rules: Rules) -> list[PbxCall]:
    """Legs up to both cuts, those of one call in one."""
    (crm,) = (one for one in company.crms if one.source_key == pbx.crm)
    read = {"asterisk": _asterisk, "mango": _mango, "zadarma": _zadarma, "generic": _generic}
    groups: dict[str, list[Leg]] = defaultdict(list)
    for row in pbx.rows:
        leg = read[pbx.system](row, pbx)
        if leg.started_at <= min(pbx.cut, crm.cut):
            groups[leg.call_id].append(leg)
    return [
        _grouped(sorted(legs, key=lambda leg: leg.place), pbx, crm, rules)
        for legs in groups.values()
    ]


def _grouped(legs: list[Leg], pbx: Pbx, crm: Crm, rules: Rules) -> PbxCall:
    outside = [leg for leg in legs if leg.direction != "internal"]
    own = outside or legs
    direction = own[0].direction
    answered = [leg for leg in own if leg.result == "answered"]
    started_at = min(leg.started_at for leg in legs)
    ended_at = max(leg.started_at + leg.total * SECOND for leg in legs)
    answered_at = min((_answered_at(leg) for leg in answered), default=None)
    extensions = sorted({leg.extension for leg in own if leg.extension})
    if answered:
        spoken = max(answered, key=lambda leg: leg.talk)
    elif direction == "inbound" and len(extensions) > 1:
        spoken = None
    else:
        spoken = next((leg for leg in own if leg.extension), None)
    talker_id, talker_basis = _talker(spoken, pbx, crm) if spoken else (None, "unknown")
    result = "answered" if answered else own[-1].result
    # Gap: a mailbox on any leg of a call that nobody answered makes it one.
    if not answered and any(leg.result == "voicemail" for leg in own):
        result = "voicemail"
    talk = 0
    if answered_at is not None:
        talk = min(sum(leg.talk for leg in answered), (ended_at - answered_at) // SECOND)
    until = ended_at if answered_at is None else answered_at
    return PbxCall(
        source_key=pbx.source_key,
        crm=pbx.crm,
        id=legs[0].call_id,
        links=frozenset(one for leg in legs for one in (leg.call_id, *leg.ids)),
        started_at=started_at,
        answered_at=answered_at,
        direction=direction,
        is_external=direction != "internal",
        result=result,
        wait=(until - started_at) // SECOND,
        talk=talk,
        total=(ended_at - started_at) // SECOND,
        basis=legs[0].basis,
        talker_id=talker_id,
        talker_basis=talker_basis,
        line=next((leg.line for leg in legs if leg.line), None),
        extension=spoken.extension if spoken else None,
        extensions=", ".join(extensions) or None,
        legs=len(legs),
        phone=next((found for leg in own if (found := _phone(leg.client, rules))), None),
    )


def _answered_at(leg: Leg) -> int:
    return leg.started_at + max(leg.total - leg.talk, 0) * SECOND


def _talker(leg: Leg, pbx: Pbx, crm: Crm) -> tuple[int | None, str]:
    """By extension, at the leg's start, else by name. The file's word goes before the CRM's."""
    lines = [one for one in pbx.extensions if one.extension == leg.extension]
    if not lines:
        lines = [one for one in crm.phones if one.extension == leg.extension]
    holders = {one.employee_id for one in lines if one.holds_at(leg.started_at)}
    if len(holders) == 1:
        return holders.pop(), "extension"
    name = (leg.name or "").strip().lower()
    if name in pbx.talkers:
        return pbx.talkers[name], "name"
    named = [number for number, known in crm.users.items() if known.lower() == name]
    return (named[0], "name") if len(named) == 1 else (None, "unknown")


def _result(code: str | None, known: Mapping[str, str], talk: int) -> str:
    """The system's own word; without one, talk."""
    if code:
        return known.get(code, "unknown")
    return "answered" if talk > 0 else "missed"


def _local(text: str, zone: str) -> int:
    """A time without a zone; of the two of an hour that clocks show twice the first."""
    return _instant(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=0))


def _instant(moment: dt.datetime) -> int:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (moment.astimezone(dt.UTC) - epoch) // dt.timedelta(microseconds=1)


_ASTERISK_RESULTS = {
    "ANSWERED": "answered",
    "NO ANSWER": "missed",
    "BUSY": "busy",
    "FAILED": "failed",
    "CONGESTION": "failed",
}
_INTERNAL_DIGITS = 5


def _asterisk(row: Row, pbx: Pbx) -> Leg:
    """A call detail record: legs of one `linkedid` are a call."""
    started_at = _local(row["calldate"], pbx.zone)
    made = re.fullmatch(r"(\d{9,10})\.\d+", row["uniqueid"])
    # The id begins with the second in which the channel was made: of two hours with one name it
    # tells which it was.
    if made and abs(int(made[1]) - started_at // SECOND - 3600) <= 60:
        started_at += 3600 * SECOND
    caller, called = _peer(row["channel"]), _peer(row["dstchannel"])
    from_outside, to_outside = _is_number(row["src"]), _is_number(row["dst"])
    inside = caller is not None or not from_outside
    if to_outside and inside and not row["did"]:
        direction = "outbound"
    elif from_outside or row["did"]:
        direction = "inbound"
    else:
        direction = "internal"
    code, talk = row["disposition"], row["billsec"]
    if row["lastapp"] == "VoiceMail":
        result = "voicemail"
    elif code == "ANSWERED" and not row["dstchannel"]:
        result = "missed"
    else:
        result = _result(code, _ASTERISK_RESULTS, talk)
    if direction == "inbound":
        extension = called
    else:
        extension = caller or (row["src"] if not from_outside else row["cnum"]) or None
    return Leg(
        call_id=row["linkedid"],
        ids=(row["uniqueid"],),
        place=(started_at, row["sequence"] or 0, len(row["uniqueid"]), row["uniqueid"]),
        direction=direction,
        started_at=started_at,
        total=row["duration"],
        talk=talk,
        basis="talk",
        result=result,
        client={"inbound": row["src"], "outbound": row["dst"]}.get(direction),
        line={"inbound": row["did"], "outbound": row["outbound_cnum"]}.get(direction) or None,
        extension=extension,
        name=row["dst_cnam"] if direction == "inbound" else row["cnam"],
    )


def _peer(channel: str) -> str | None:
    """The extension behind a channel: PJSIP/101-0000002a."""
    found = re.match(r"\w+/(\d+)[-@]", channel)
    return found[1] if found and len(found[1]) <= _INTERNAL_DIGITS else None


def _is_number(text: str) -> bool:
    return len(re.sub(r"\D", "", text)) > _INTERNAL_DIGITS


def _mango(row: Row, pbx: Pbx) -> Leg:
    """Nobody behind an extension on one side: that side is the outside. `answer` 0: missed."""
    inner_from, inner_to = row["from_extension"], row["to_extension"]
    direction = (
        "internal"
        if inner_from and inner_to
        else "outbound"
        if inner_from
        else "inbound"
        if inner_to
        else None
    )
    is_answered = row["answer"] > 0
    return Leg(
        call_id=row["entry_id"],
        ids=(),
        place=(row["start"] * SECOND, row["row_key"]),
        direction=direction,
        started_at=row["start"] * SECOND,
        total=row["finish"] - row["start"],
        talk=row["finish"] - row["answer"] if is_answered else 0,
        basis="talk",
        result="answered" if is_answered else "missed",
        client=row["to_number"] if direction == "outbound" else row["from_number"],
        line=row["line_number"] or None,
        extension=(inner_to if direction == "inbound" else inner_from) or None,
        name=None,
    )


_ZADARMA_RESULTS = {
    "answered": "answered",
    "busy": "busy",
    "cancel": "cancelled",
    "no answer": "missed",
    "failed": "failed",
    "unallocated number": "wrong_number",
    "no money": "failed",
}


def _zadarma(row: Row, pbx: Pbx) -> Leg:
    """`pbx_call_id` groups the legs and begins with the direction; seconds are the whole call's."""
    direction = {"in": "inbound", "out": "outbound"}[row["pbx_call_id"].partition("_")[0]]
    started_at = _local(row["callstart"], pbx.zone)
    return Leg(
        call_id=row["pbx_call_id"],
        ids=(row["call_id"],),
        place=(started_at, len(row["call_id"]), row["call_id"]),
        direction=direction,
        started_at=started_at,
        total=row["seconds"],
        talk=row["seconds"],
        basis="total",
        result=_result(row["disposition"], _ZADARMA_RESULTS, row["seconds"]),
        client=row["clid"] if direction == "inbound" else row["destination"],
        line=None,
        extension=row["sip"],
        name=None,
    )


def _generic(row: Row, pbx: Pbx) -> Leg:
    """A call of any table; what its words mean the company says."""
    told = row["direction"] or ""
    plain = {"inbound", "outbound", "internal"}
    direction = pbx.directions.get(told) or (told if told in plain else None)
    talk, total, wait = (row[f"{name}_seconds"] for name in ("talk", "total", "wait"))
    length = total if total is not None else (wait or 0) + (talk or 0)
    return Leg(
        call_id=row["id"],
        ids=(row["link_id"],) if row["link_id"] else (),
        place=(),
        direction=direction,
        started_at=_instant(dt.datetime.fromisoformat(row["started_at"])),
        total=length,
        talk=talk if talk is not None else total if total is not None else 0,
        basis="talk" if talk is not None else "total" if total is not None else "unknown",
        result=_result(row["result"], pbx.results, talk if talk is not None else total or 0),
        client=row["client_phone"],
        line=row["line"] or None,
        extension=row["extension"] or None,
        name=row["talker_name"],
    )
