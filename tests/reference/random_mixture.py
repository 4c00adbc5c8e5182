"""Small adversarial companies whose calls stand in a CRM, in a telephony, or in both.

True calls crowd on few instants and numbers; each leaves rows in the systems, some of them
contradicting one another. So several candidates, ties, both ends of the windows, ids that point
astray and second calls of one number are common, not rare.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.merging import Company, Crm, Holder, Pbx
from tests.reference.random_portal import RANDOM_RULES
from tests.reference.rules import DAY, SECOND, day_start, local_date

Row = dict[str, Any]

# The seconds in which clocks go forward and back in Berlin and Kyiv, both in 2024.
_NIGHTS = (1_711_846_800, 1_729_990_800)
_MIDNIGHT_BEFORE = -3 * 3600
"""In Beirut, from the clocks' change; extensions change hands there."""
# A few minutes around each of them; clusters lie a day apart to the second, too.
_CLUSTERS = (0, 0, -3600, 3500, _MIDNIGHT_BEFORE - 60, -86_400, -86_401, 2 * 3600 - 30)
_STEPS = (0, 0, 0, 1, 5, 30, 45, 60, 89, 90, 91, 135, 180)
_SKEWS = (0, 0, 0, 1, -1, 5, -5, 45, -45, 89, 90, 90, 91, -89, -90, -91)
# What most calls of a crowded company have: one number and direction, two instants.
_CROWDED_CLUSTERS, _CROWDED_STEPS = (0, 0, 0, -86_400), (0, 0, 90, 45)
_PHONES = (
    ("+7 (912) 345-67-01", "8 912 345 67 01", "79123456701", "+79123456701"),
    ("+7 (912) 345-67-02", "89123456702", "79123456702", "9123456702"),
    ("+49 30 901820", "+4930901820", "+49(30)901820"),
    # No number: too short.
    ("8800555", "8 800 555"),
)
# Of two with one name the name tells nothing.
_USERS = {
    "bitrix24": {1: "Anna Test", 2: "Boris Test", 9: "Vera Test", 10: "Anna Test"},
    "amocrm": {1: "User 1", 2: "User 2", 9: "Vera Test", 10: "User 1"},
}
_EXTENSIONS = ("101", "102", "103", "104", "105", "199")
_NAMES = (None, "", "Boris Test", "vera test ", "User 1", "Anna Test", "Vera", "Nobody Known")
DEALS = (9, 10)
_DIRECTIONS = {"вх": "inbound", "исх": "outbound", "внутр": "internal"}
_RESULTS = {"ок": "answered", "нет": "missed", "занято": "busy"}
_ZONES = ("Europe/Berlin", "Europe/Kyiv", "Europe/Moscow")


@dataclass(frozen=True)
class _Call:
    """A call as it was."""

    number: int
    second: int
    direction: str
    phone: Sequence[str] | None
    is_answered: bool
    wait: int
    talk: int
    extension: str


def random_company(rng: random.Random, name: str, calls: int = 12) -> Company:
    """A company of one or two CRM connections, one or two telephonies and so many calls.

    Args:
        rng: the same state gives the same company.
        name: of its connections.
        calls: that were made; each leaves rows in one system or in both.
    """
    night = rng.choice(_NIGHTS)
    system = rng.choice(["bitrix24", "amocrm"])
    keys = [f"{system}:{name}"]
    if rng.random() < 0.2:
        keys.append(f"{rng.choice(['bitrix24', 'amocrm'])}:{name}b")
    is_crowded = rng.random() < 0.3
    made = [_call(rng, number, night, is_crowded=is_crowded) for number in range(calls)]
    # Ids around the places where numbers grow a digit.
    first_id = rng.choice([9, 97, 997]) - rng.randrange(4)
    providers = ["asterisk", "asterisk", "generic", "generic", "mango", "zadarma"]
    pbx_keys = [f"{rng.choice(providers)}:{name}"]
    if rng.random() < 0.35:
        pbx_keys.append(f"{rng.choice(providers)}:{name}b")
    cut = rng.choice([2 * 3600 + 60, 2 * 3600 + 60, 2 * 3600 + 60, 2 * 3600, 3545])
    parts: dict[str, list[Row]] = {key: [] for key in pbx_keys}
    known: dict[int, list[str]] = {}
    zones = {key: rng.choice(_ZONES) for key in pbx_keys}
    for call in made:
        if rng.random() < 0.8:
            key = rng.choice(pbx_keys)
            system = key.partition(":")[0]
            skewed = rng.random() < 0.1
            rows, known[call.number] = _WRITERS[system](rng, call, zones[key], first_id, skewed)
            parts[key] += rows
    crms = [
        _crm(rng, key, made, known, first_id, (night + cut) * SECOND, is_second=place > 0)
        for place, key in enumerate(keys)
    ]
    return Company(
        crms=tuple(crms),
        pbxs=tuple(
            Pbx(
                source_key=key,
                crm=rng.choice(keys),
                cut=(night + rng.choice([cut, cut, cut, 7200, 3545])) * SECOND,
                zone=zones[key],
                rows=tuple(_once(parts[key])),
                extensions=tuple(_holders(rng, night)),
                talkers={"vera": 9} if rng.random() < 0.5 else {},
                directions=_DIRECTIONS if key.startswith("generic") else {},
                results=_RESULTS if key.startswith("generic") else {},
            )
            for key in pbx_keys
        ),
    )


def _call(rng: random.Random, number: int, night: int, *, is_crowded: bool) -> _Call:
    is_answered = rng.random() < 0.65
    is_alike = is_crowded and rng.random() < 0.8
    clusters, steps = (_CROWDED_CLUSTERS, _CROWDED_STEPS) if is_alike else (_CLUSTERS, _STEPS)
    return _Call(
        number=number,
        second=night + rng.choice(clusters) + rng.choice(steps),
        direction="inbound"
        if is_alike
        else rng.choice(["inbound"] * 5 + ["outbound"] * 5 + ["internal"]),
        phone=_PHONES[0] if is_alike else rng.choice([*_PHONES, _PHONES[0], _PHONES[0], None]),
        is_answered=is_answered,
        wait=rng.choice([0, 5, 20]),
        talk=rng.choice([1, 39, 40, 41, 300]) if is_answered else 0,
        extension=rng.choice(_EXTENSIONS),
    )


def _once(rows: list[Row]) -> list[Row]:
    """Rows whose key came before left out: raw tables hold each once."""
    return list({row.get("row_key") or row["id"]: row for row in rows}.values())


def _holders(rng: random.Random, night: int) -> list[Holder]:
    """Lines of extensions.csv: a change of hands at midnight, one of two at once, a plain one."""
    midnight = (night + _MIDNIGHT_BEFORE) * SECOND
    day_before = local_date(midnight - DAY // 2, RANDOM_RULES)
    lines = [
        [Holder("101", rng.choice([1, 2]))],
        [Holder("102", 2, None, midnight), Holder("102", 9, midnight, None)],
        [Holder("103", 1), Holder("103", 10)],
        [Holder("104", 10, day_start(day_before, RANDOM_RULES), midnight)],
    ]
    return [holder for line in lines if rng.random() < 0.6 for holder in line]


# The CRM's rows


def _crm(
    rng: random.Random,
    source_key: str,
    made: Sequence[_Call],
    known: Mapping[int, list[str]],
    first_id: int,
    cut: int,
    *,
    is_second: bool,
) -> Crm:
    is_amo = source_key.startswith("amocrm")
    write = _amo_row if is_amo else _bitrix_row
    rows: list[Row] = []
    every = [one for ids in known.values() for one in ids]
    order = list(made)
    # Ids need not follow time: at ties they decide, elsewhere they must not.
    if rng.random() < 0.3:
        rng.shuffle(order)
    for call in order:
        if call.direction == "internal" and rng.random() < 0.7:
            continue
        if rng.random() > (0.5 if is_second else 0.8):
            continue
        own = known.get(call.number, [])
        link = rng.choice(
            [None] * 8
            + [""]
            + own[:1] * 6
            + own[-1:] * 3
            + every[:1] * 2
            + ([rng.choice(every)] if every else [])
            + [f"own-{call.number}", "gone"]
        )
        skew = rng.choice(_SKEWS)
        copies = rng.choice([1] * 7 + [2, 3])
        # One id on several rows; not every row has the telephony's id as well.
        shared = rng.choice([link, f"copied-{call.number}"]) if copies > 1 else None
        for _ in range(copies):
            own = shared or rng.choice([link, link, None, "", f"call-{first_id + len(rows)}"])
            is_told = copies == 1 or rng.random() < 0.5
            known_as = link if is_told else None
            rows.append(write(rng, first_id + len(rows), call, own, known_as, skew))
    return Crm(
        source_key=source_key,
        cut=cut,
        rows=tuple(rows),
        users=_USERS[source_key.partition(":")[0]],
        phones=() if is_amo else _phones_of_users(rng, cut),
    )


def _phones_of_users(rng: random.Random, cut: int) -> tuple[Holder, ...]:
    """Internal phones: Boris's has changed once, as a second load has seen."""
    if rng.random() < 0.5:
        seen = cut - rng.choice([1800, 3 * 3600, 26 * 3600]) * SECOND
        boris = [Holder("102", 2, None, seen), Holder("105", 2, seen, None)]
    else:
        boris = [Holder("105", 2)]
    return (*boris, Holder("199", 9), Holder("101", 10))


def _text(rng: random.Random, phone: Sequence[str] | None) -> str | None:
    return rng.choice(["", "anonymous", "hidden"]) if phone is None else rng.choice(phone)


def _bitrix_row(
    rng: random.Random, row_id: int, call: _Call, own: str | None, link: str | None, skew: int
) -> Row:
    kinds = {"inbound": [2, 2, 2, 3], "outbound": [1, 1, 1, 4], "internal": [1, 2]}
    code = "200" if call.is_answered else rng.choice(["304", "486", "404"])
    entity = rng.choice([None, "DEAL", "DEAL"])
    return {
        "ID": row_id,
        "PORTAL_USER_ID": rng.choice([None, 1, 2, 9]),
        "PORTAL_NUMBER": rng.choice([None, "", "74950000009"]),
        "PHONE_NUMBER": _text(rng, call.phone),
        "CALL_ID": own,
        "EXTERNAL_CALL_ID": link,
        "CALL_CATEGORY": rng.choice(["external"] * 8 + [None, "", "internal"]),
        "CALL_DURATION": call.talk if rng.random() < 0.8 else rng.choice([0, 39, 40, 77]),
        "CALL_START_DATE": (call.second + skew) * SECOND,
        "CALL_FAILED_CODE": rng.choice([code] * 8 + [None, "", "304", "200"]),
        "CALL_TYPE": rng.choice(kinds[call.direction] * 5 + [5, 1, 2, 8]),
        "CRM_ENTITY_TYPE": entity,
        "CRM_ENTITY_ID": entity and rng.choice(DEALS),
    }


def _amo_row(
    rng: random.Random, row_id: int, call: _Call, own: str | None, link: str | None, skew: int
) -> Row:
    entity_type = "leads" if rng.random() < 0.8 else "contacts"
    told: Row = {
        "uniq": own,
        "duration": call.talk if rng.random() < 0.8 else rng.choice([0, 39, 40, 77]),
        "phone": _text(rng, call.phone),
        "call_status": rng.choice([4 if call.is_answered else 6, None, 8, 5, 7]),
        "call_responsible": rng.choice([None, None, 0, 2, "9", "User 2", "User 1", "Nemo"]),
    }
    is_in = call.direction == "inbound" or (call.direction == "internal" and rng.random() < 0.5)
    if rng.random() < 0.05:
        is_in = not is_in
    return {
        "id": row_id,
        "entity_type": entity_type,
        "entity_id": rng.choice(DEALS) if entity_type == "leads" else 5,
        "created_by": rng.choice([0, 1, 10]),
        "updated_by": 0,
        "created_at": (call.second + skew) * SECOND,
        "updated_at": (call.second + skew) * SECOND,
        "responsible_user_id": rng.choice([0, 0, 2, 9]),
        "group_id": 0,
        "note_type": "call_in" if is_in else "call_out",
        "params": {name: value for name, value in told.items() if value is not None},
    }


# The telephony's rows: rows, and the ids by which the CRM may know the call


def _printed(second: int, zone: str) -> str:
    moment = dt.datetime.fromtimestamp(second, dt.UTC).astimezone(ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _asterisk(
    rng: random.Random, call: _Call, zone: str, first_id: int, is_odd: bool
) -> tuple[list[Row], list[str]]:
    # In the hour that comes twice only an id that holds the second tells which it was.
    base, number = str(call.second), first_id + 3 * call.number
    if rng.random() < 0.3:
        base, number = f"pbx{call.number}", rng.choice([8, 9, 98])
    linked = f"{base}.{number}"
    outside = _text(rng, call.phone) or ""
    outside = "".join(c for c in outside if c.isdigit() or c == "+")
    other = rng.choice([e for e in _EXTENSIONS if e != call.extension])
    sequenced = rng.random() < 0.5
    trunk, extension = "PJSIP/trunk-00000001", f"PJSIP/{call.extension}-00000002"

    def record(place: int, after: int, **fields: Any) -> Row:
        unique = f"{base}.{number + place}"
        row = {
            "uniqueid": unique,
            "linkedid": linked,
            "sequence": number + place if sequenced else None,
            "calldate": _printed(call.second + after, zone),
            "src": outside,
            "dst": call.extension,
            "did": "74950000001",
            "channel": trunk,
            "dstchannel": extension,
            "lastapp": "Dial",
            "duration": call.wait + call.talk,
            "billsec": call.talk,
            "disposition": "ANSWERED" if call.is_answered else rng.choice(["NO ANSWER", "BUSY"]),
            "cnum": "",
            "cnam": "",
            "outbound_cnum": "",
            "dst_cnam": rng.choice(_NAMES) or "",
            **fields,
        }
        row["row_key"] = f"{unique}/{row['sequence']}" if sequenced else f"{unique}/{after}/{place}"
        return row

    if call.direction == "internal":
        inner = {"src": call.extension, "dst": other, "did": "", "channel": extension}
        rows = [record(0, 0, **inner, dstchannel=f"SIP/{other}-1", dst_cnam="")]
    elif call.direction == "outbound":
        fields = {
            "src": call.extension,
            "dst": outside or "+79990000000",
            "did": "",
            "channel": extension,
            "dstchannel": trunk,
            "cnam": rng.choice(_NAMES) or "",
            "outbound_cnum": rng.choice(["", "74950000002"]),
            "dst_cnam": "",
        }
        if rng.random() < 0.3:
            # The outside sees the company's number.
            fields["src"] = "74950000001"
        rows = [record(0, 0, **fields)]
    else:
        missed = {"disposition": "NO ANSWER", "billsec": 0, "duration": call.wait}
        rung = {"dst": other, "dstchannel": f"PJSIP/{other}-00000009"}
        kind = rng.choice(
            ["plain", "plain", "queue", "all at once", "transfer", "mailbox", "robot", "odd"]
        )
        rows = [record(0, 0)]
        if kind == "queue":
            rows = [record(0, 0, **rung, **missed), record(1, rng.choice([0, 1, 15]))]
        elif kind == "all at once":
            ends = [{"disposition": word} for word in ("NO ANSWER", "BUSY", "FAILED")]
            rows = [record(place, 0, **{**missed, **end}) for place, end in enumerate(ends)]
            rng.shuffle(rows)
        elif kind == "transfer" and call.is_answered:
            end = call.wait + call.talk
            rows.append(
                record(
                    1,
                    end,
                    src=call.extension,
                    dst=other,
                    did="",
                    channel=extension,
                    dstchannel=rung["dstchannel"],
                    duration=10,
                    billsec=8,
                )
            )
            again = {"duration": 60, "billsec": rng.choice([30, call.talk, 60])}
            rows.append(record(2, end + rng.choice([-20, 0, 10]), **rung, **again))
        elif kind == "mailbox":
            rows.append(record(1, 20, dstchannel="", lastapp="VoiceMail", duration=9, billsec=9))
        elif kind == "robot":
            rows = [record(0, 0, dstchannel="", lastapp="Queue", dst="600")]
        elif kind == "odd":
            rows = [record(0, 0, disposition=rng.choice(["EXPLODED", "FAILED", None]))]
    if is_odd:
        rows.reverse()
    ids = list(dict.fromkeys(row["uniqueid"] for row in rows))
    return rows, [linked, *ids]


def _generic(
    rng: random.Random, call: _Call, zone: str, first_id: int, is_odd: bool
) -> tuple[list[Row], list[str]]:
    found = f"{first_id + call.number}"
    words = {"inbound": "вх", "outbound": "исх", "internal": "внутр"}
    fraction = ".6" if rng.random() < 0.2 else ""
    at = dt.datetime.fromtimestamp(call.second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    total = call.wait + call.talk
    talk, length = rng.choice([(call.talk, total), (call.talk, None), (None, total), (None, None)])
    row = {
        "id": found,
        "started_at": f"{at}{fraction}+00:00",
        "link_id": rng.choice([None, "", f"link-{call.number}", f"link-{call.number}"]),
        "direction": "?" if is_odd else rng.choice([words[call.direction], call.direction]),
        "result": rng.choice([None, "??", *["ок" if call.is_answered else "нет"] * 6, "занято"]),
        "client_phone": _text(rng, call.phone),
        "line": rng.choice([None, "74950000003"]),
        "extension": rng.choice([None, call.extension, call.extension]),
        "talker_name": rng.choice(_NAMES),
        "wait_seconds": rng.choice([None, call.wait]),
        "talk_seconds": talk,
        "total_seconds": length,
        "recording_url": None,
    }
    return [row], [one for one in (found, row["link_id"]) if one]


def _mango(
    rng: random.Random, call: _Call, zone: str, first_id: int, is_odd: bool
) -> tuple[list[Row], list[str]]:
    entry = f"MToxMDA{first_id + call.number}"
    outside = _text(rng, call.phone) or ""
    end = call.second + call.wait + call.talk
    is_in, is_out = call.direction == "inbound", call.direction == "outbound"
    row = {
        "row_key": f"{entry}/0",
        "entry_id": entry,
        "start": call.second,
        "answer": call.second + call.wait if call.is_answered else 0,
        "finish": end,
        "from_extension": "" if is_in else call.extension,
        "from_number": outside if is_in else "",
        "to_extension": "" if is_out else call.extension if is_in else "101",
        "to_number": outside if is_out else "",
        "line_number": rng.choice(["", "78120000001"]),
    }
    if is_odd:
        row |= {"from_extension": "", "to_extension": ""}
    rows = [row]
    if is_in and rng.random() < 0.3:
        # The first one rung has not answered.
        later = {"start": call.second + 7, "finish": end + 7, "row_key": f"{entry}/1"}
        answer = row["answer"] and row["answer"] + 7
        rows = [{**row, "to_extension": "105", "answer": 0}, {**row, **later, "answer": answer}]
    return rows, [entry]


def _zadarma(
    rng: random.Random, call: _Call, zone: str, first_id: int, is_odd: bool
) -> tuple[list[Row], list[str]]:
    number = first_id + call.number
    found = f"{'out' if call.direction == 'outbound' else 'in'}_{number}"
    outside = _text(rng, call.phone) or ""
    is_in = found.startswith("in")
    words = ["no answer", "cancel", "busy", "unallocated number", "weird"]
    row = {
        "row_key": f"{found}/0",
        "pbx_call_id": found,
        "call_id": f"rec-{number}",
        "callstart": _printed(call.second, zone),
        "sip": call.extension,
        "clid": outside if is_in else call.extension,
        "destination": call.extension if is_in else outside,
        "disposition": "answered" if call.is_answered else rng.choice(words),
        "seconds": call.talk,
    }
    if is_odd:
        row["disposition"] = "weird"
    rows = [row]
    if is_in and rng.random() < 0.3:
        rung = {"sip": "105", "disposition": "no answer", "seconds": 0, "row_key": f"{found}/1"}
        rows.append({**row, **rung, "call_id": f"rec-{number}b"})
    return rows, [found, f"rec-{number}"]


_WRITERS = {"asterisk": _asterisk, "generic": _generic, "mango": _mango, "zadarma": _zadarma}
