"""Random companies with telephony, in one warehouse, compared with the independent reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from sources.demo.amocrm.store import AmoStore
from sources.demo.store import PortalStore, from_microseconds
from tests.reference.merging import Company, Crm, Holder, MergedCall, bound_deals, merged_calls
from tests.reference.random_mixture import DEALS
from tests.reference.rules import DAY, SECOND, Rules
from tests.support.amo_accounts import client_row, lead_row, make_account
from tests.support.portals import deal_row, make_portal
from tests.support.raw_telephony import Pbx

Store = PortalStore | AmoStore

_TABLES = {
    "asterisk": "asterisk_cdr",
    "generic": "generic_calls",
    "mango": "mango_calls",
    "zadarma": "zadarma_calls",
}
_CALLS = """
    select
        calls.source_key, calls.call_id, calls.pbx_source_key, calls.pbx_call_id,
        calls.call_sources, calls.pair_basis, epoch_us(calls.started_at),
        epoch_us(calls.answered_at), calls.direction, calls.is_external, calls.call_result,
        calls.is_answered, calls.is_successful, calls.wait_seconds, calls.talk_seconds,
        calls.total_seconds, calls.talk_basis, employees.employee_id, calls.talker_basis,
        calls.line, calls.extension, calls.rung_extensions, calls.leg_count, calls.phone_e164
    from marts.fct_calls as calls
    left join marts.dim_employees as employees
        on calls.talker_employee_key = employees.employee_key
        and calls.source_key = employees.source_key
    where calls.source_key in (select unnest(?))
"""
_BINDINGS = """
    select calls.source_key, calls.call_id, deals.deal_id
    from intermediate.int_call_bindings as bindings
    inner join marts.fct_calls as calls on bindings.call_key = calls.call_key
    inner join marts.fct_deals as deals on bindings.card_key = deals.deal_key
    where calls.source_key in (select unnest(?))
"""
_IN_REPORTS = """
    select source_key, count(*) filter (where match_method <> 'not_external')
    from marts.fct_calls
    where source_key in (select unnest(?))
    group by source_key
"""
_MISCOUNTED = """
    select source_key, entity from intermediate.int_reconciliation_by_entity
    where source_key in (select unnest(?))
        and (unexplained_marts_count <> 0 or unexplained_source_count <> 0)
"""


def write_stores(companies: Iterable[Company], folder: Path) -> dict[str, Store]:
    """The CRM connections of companies, each with users, two deals and its calls, by source key."""
    return {
        crm.source_key: (_account if crm.source_key.startswith("amocrm") else _portal)(
            crm, folder / f"{crm.source_key.replace(':', '-')}.sqlite"
        )
        for company in companies
        for crm in company.crms
    }


def loaded_telephony(companies: Iterable[Company]) -> dict[str, Pbx]:
    """What each telephony's load has brought, by source key."""
    return {
        pbx.source_key: Pbx(
            from_microseconds(pbx.cut).astimezone(ZoneInfo(pbx.zone)),
            {_TABLES[pbx.system]: [dict(row) for row in pbx.rows]},
        )
        for company in companies
        for pbx in company.pbxs
    }


def write_earlier_phones(
    connection: duckdb.DuckDBPyConnection, companies: Iterable[Company]
) -> None:
    """What an earlier load has seen: users with other internal phones than now."""
    for company in companies:
        for crm in company.crms:
            for phone in crm.phones:
                if phone.until is not None:
                    _write_earlier_phone(connection, crm.source_key, phone, phone.until)


def _write_earlier_phone(
    connection: duckdb.DuckDBPyConnection, source_key: str, phone: Holder, until: int
) -> None:
    seen = from_microseconds(until)
    of_user = [source_key, phone.employee_id]
    connection.execute(
        "insert into raw_bitrix24.user_versions select * replace ("
        "? as uf_phone_inner, ?::timestamptz as first_seen_at, ?::timestamptz as last_seen_at) "
        "from raw_bitrix24.user_versions where source_key = ? and id = ?",
        [phone.extension, seen - dt.timedelta(days=30), seen - dt.timedelta(days=1), *of_user],
    )
    connection.execute(
        "update raw_bitrix24.user_versions set first_seen_at = ?::timestamptz "
        "where source_key = ? and id = ? and uf_phone_inner <> ?",
        [seen, *of_user, phone.extension],
    )


def company_files(companies: Iterable[Company], zone: str) -> dict[str, str]:
    """`extensions.csv` and `talkers.csv`."""
    extensions, talkers = (
        ["connection,extension,employee_id,from_on,until_on"],
        ["connection,talker_name,employee_id"],
    )
    for company in companies:
        for pbx in company.pbxs:
            extensions += [
                f"{pbx.source_key},{one.extension},{one.employee_id},"
                f"{_day(one.since, zone)},{_day(one.until, zone)}"
                for one in pbx.extensions
            ]
            talkers += [f"{pbx.source_key},{name},{one}" for name, one in pbx.talkers.items()]
    return {
        "extensions.csv": "\n".join(extensions) + "\n",
        "talkers.csv": "\n".join(talkers) + "\n",
    }


def company_options(companies: Iterable[Company]) -> dict[str, Mapping[str, Any]]:
    """`company.toml` of the telephony: the CRM it is tied to, the words of a table."""
    found: dict[str, Mapping[str, Any]] = {}
    for company in companies:
        for pbx in company.pbxs:
            options: dict[str, Any] = {"crm": pbx.crm, "time_zone": pbx.zone}
            if pbx.system == "generic":
                options |= {
                    "file": "calls.csv",
                    "columns": {"call_id": "id", "started_at": "start"},
                    "directions": pbx.directions,
                    "results": pbx.results,
                }
            found[pbx.source_key] = options
    return found


def disagreements(
    connection: duckdb.DuckDBPyConnection, companies: Iterable[Company], rules: Rules
) -> dict[str, object]:
    """What warehouse and reference tell differently, by company."""
    found: dict[str, object] = {}
    for company in companies:
        keys = [crm.source_key for crm in company.crms]
        expected = merged_calls(company, rules)
        got = [MergedCall(*row) for row in connection.execute(_CALLS, [keys]).fetchall()]
        bound = set(connection.execute(_BINDINGS, [keys]).fetchall())
        reported = connection.execute(_IN_REPORTS, [keys]).fetchall()
        every_key = [*keys, *(pbx.source_key for pbx in company.pbxs)]
        differing = {
            "calls that only the reference has": _sorted(set(expected) - set(got)),
            "calls that only the marts have": _sorted(set(got) - set(expected)),
            "calls twice": len(got) - len(set(got)),
            "bindings": sorted(bound ^ bound_deals(company, rules)),
            "calls in reports": sorted(
                set(reported) ^ {(key, _external(expected, key)) for key, _ in reported}
            ),
            "rows unaccounted for": connection.execute(_MISCOUNTED, [every_key]).fetchall(),
        }
        if any(differing.values()):
            found[keys[0]] = {name: odd for name, odd in differing.items() if odd}
    return found


def _external(expected: list[MergedCall], source_key: str) -> int:
    return sum(call.is_external for call in expected if call.source_key == source_key)


def _sorted(calls: Iterable[MergedCall]) -> list[MergedCall]:
    return sorted(calls, key=lambda call: (call.started_at, str(call)))


def _day(instant: int | None, zone: str) -> str:
    if instant is None:
        return ""
    return from_microseconds(instant).astimezone(ZoneInfo(zone)).date().isoformat()


def _portal(crm: Crm, path: Path) -> PortalStore:
    store = make_portal(path)
    store.set_meta("clock", crm.cut)
    now = {phone.employee_id: phone.extension for phone in crm.phones if phone.until is None}
    store.insert(
        "user",
        [
            {
                "ID": number,
                "ACTIVE": 1,
                "NAME": name.split()[0],
                "LAST_NAME": name.split()[1],
                "USER_TYPE": "employee",
                "UF_PHONE_INNER": now.get(number),
            }
            for number, name in crm.users.items()
            if number != 1
        ],
    )
    created = crm.cut - 30 * DAY
    store.insert(
        "deal",
        [
            deal_row(number, DATE_CREATE=created, DATE_MODIFY=created, MOVED_TIME=created)
            for number in DEALS
        ],
    )
    store.insert("call", [dict(row) for row in crm.rows])
    return store


def _account(crm: Crm, path: Path) -> AmoStore:
    store = make_account(path)
    store.clock = from_microseconds(crm.cut // SECOND * SECOND)
    store.insert(
        "user",
        [
            {
                "id": number,
                "name": name,
                "email": f"user{number}@example.com",
                "lang": "ru",
                "is_admin": False,
                "is_free": 0,
                "is_active": True,
                "group_id": 7,
            }
            for number, name in crm.users.items()
            if number > 2
        ],
    )
    created = crm.cut - 30 * DAY
    times = {"created_at": created, "updated_at": created}
    store.insert("lead", [lead_row(number, **times) for number in DEALS])
    store.insert("contact", [client_row(5, **times)])
    store.insert("note", [dict(row) for row in crm.rows])
    return store
