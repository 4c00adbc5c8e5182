"""Each account: is it there, is the credential accepted, what may it see, does it have the fields.

Facts of the APIs: Bitrix24's `scope` and `profile` need no permission (vendor's pages of the two);
`profile` says in ADMIN whether the webhook's user is an administrator. Others get fewer pipelines
and calls without a word. amoCRM tells its users to administrators only, others get 403.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from orchestration.connections import connector_of, crm_connector_of
from orchestration.demo import DEMO_COMPANIES
from orchestration.doctor.findings import Finding
from orchestration.settings import Settings
from sources.amocrm import AmoConnector
from sources.bitrix24 import Bitrix24Connector
from sources.bitrix24.errors import PortalError
from sources.company.rules import (
    AmocrmSection,
    CompanyRules,
    Connection,
    CrmConnection,
    CrmSystem,
    PbxConnection,
)
from sources.errors import CallfunnelError, RemoteError

PATIENCE_SECONDS = 20.0
"""For one request; a load waits for a quarter of an hour."""
SKEW_SECONDS = 120
"""Clocks that differ by more make "today" and "not later than the server's clock" doubtful."""
SCOPES: Mapping[str, str] = {
    "crm": "cards, stages, activities",
    "user": "employees",
    "department": "departments",
    "telephony": "calls",
    "task": "tasks",
}
"""What a webhook must be allowed, and what is missing without it."""


def look_at_connections(settings: Settings, rules: CompanyRules) -> Iterator[Finding]:
    """Every connection of the company."""
    for connection in rules.all_connections():
        item = connection.source_key
        try:
            if isinstance(connection, CrmConnection):
                yield from _look_at_crm(settings, rules, connection, item)
            else:
                yield from _look_at_telephony(settings, connection, item)
        except CallfunnelError as error:
            yield Finding(item, "problem", str(error))


def _look_at_crm(
    settings: Settings, rules: CompanyRules, connection: CrmConnection, item: str
) -> Iterator[Finding]:
    connector = crm_connector_of(settings, connection)
    connector.client.max_wait_seconds = PATIENCE_SECONDS
    try:
        if isinstance(connector, Bitrix24Connector):
            yield from _look_at_portal(settings, rules, connection, connector, item)
        else:
            yield from _look_at_account(settings, rules, connection, connector, item)
    finally:
        connector.close()


def _look_at_portal(
    settings: Settings,
    rules: CompanyRules,
    connection: Connection,
    connector: Bitrix24Connector,
    item: str,
) -> Iterator[Finding]:
    client = connector.client
    answer = client.call("profile")
    yield _reached(settings, connection, item, client.host, answer.server_now)
    scopes = {str(scope) for scope in client.call("scope").result or ()}
    missing = [f"{scope} ({what})" for scope, what in SCOPES.items() if scope not in scopes]
    if missing:
        lacks = f"the access lacks {', '.join(missing)}: give it these scopes in the portal."
        yield Finding(item, "problem", lacks)
    else:
        yield Finding(item, "ok", f"scopes: {', '.join(SCOPES)}")
    yield _is_administrator(item, is_it=bool((answer.result or {}).get("ADMIN")))
    asked = {"deal": "crm.deal.fields"}
    asked |= {
        f"smart process {number}": f"crm.item.fields?entityTypeId={number}"
        for number in connector.smart_processes
    }
    answers = client.batch_with_errors(asked)
    for name, told in answers.items():
        if isinstance(told, PortalError):
            yield Finding(item, "problem", f"{name}: {told}")
    fields = answers["deal"]
    if not isinstance(fields, PortalError):
        yield from _mapped_fields(item, _mapped(rules, "bitrix24"), fields.result or {})


def _look_at_account(
    settings: Settings,
    rules: CompanyRules,
    connection: CrmConnection,
    connector: AmoConnector,
    item: str,
) -> Iterator[Finding]:
    client = connector.client
    account = client.get("account")
    yield _reached(settings, connection, item, client.host, account.server_now)
    try:
        client.get("users", {"limit": 1, "page": 1})
        yield _is_administrator(item, is_it=True)
    except RemoteError as error:
        if not error.is_refusal:
            raise
        yield _is_administrator(item, is_it=False)
    known: set[str] = set()
    page = 1
    while True:
        answer = client.get("leads/custom_fields", {"limit": 50, "page": page})
        for row in answer.rows:
            known |= {str(row[name]) for name in ("id", "code") if row.get(name)}
        if not answer.has_next:
            break
        page += 1
    mapped = _mapped(rules, "amocrm")
    assert isinstance(connection.section, AmocrmSection)
    if connection.section.source_field:
        mapped |= {
            f"connections.{item.replace(':', '.')}.source_field": connection.section.source_field
        }
    yield from _mapped_fields(item, mapped, dict.fromkeys(known))


def _look_at_telephony(
    settings: Settings, connection: PbxConnection, item: str
) -> Iterator[Finding]:
    connector = connector_of(settings, connection)
    try:
        at = connector.cut().at
    finally:
        connector.close()
    if getattr(connection.section, "file", None):
        # The time at which the file was written.
        written = at.isoformat(sep=" ", timespec="minutes")
        yield Finding(item, "ok", f"the file is there, written {written}")
    else:
        yield _reached(settings, connection, item, "the telephony", at)


def _reached(
    settings: Settings, connection: Connection, item: str, host: str, server_now: dt.datetime
) -> Finding:
    told = f"{host} answers and accepts the credential"
    if settings.company in DEMO_COMPANIES:
        return Finding(item, "ok", f"{told}; it is a demo with a clock of its own")
    seconds = (server_now - dt.datetime.now(dt.UTC)).total_seconds()
    if abs(seconds) > SKEW_SECONDS:
        direction = "ahead of" if seconds > 0 else "behind"
        return Finding(
            item,
            "warning",
            f"{told}, but its clock is {abs(seconds):,.0f} s {direction} this machine's: set this "
            "machine's clock by NTP, or correct the server's.",
        )
    return Finding(item, "ok", f"{told}, clocks agree")


def _is_administrator(item: str, *, is_it: bool) -> Finding:
    if is_it:
        return Finding(
            item,
            "ok",
            "an administrator's: it may see all pipelines, users and calls (by its role: nothing "
            "was counted)",
        )
    return Finding(
        item,
        "warning",
        "not an administrator's: pipelines, users or calls may be missing without a word, and "
        "dismissed employees can't be told (Q1 to Q4). Make the access as an administrator.",
    )


def _mapped(rules: CompanyRules, system: CrmSystem) -> dict[str, str]:
    """Custom fields that the rules name, by the key that names them."""
    return {
        f"segments.{segment}": fields[system]
        for segment, fields in rules.segments.items()
        if system in fields
    }


def _mapped_fields(
    item: str, mapped: Mapping[str, str], known: Mapping[str, Any]
) -> Iterator[Finding]:
    missing = {key: field for key, field in mapped.items() if field not in known}
    for key, field in missing.items():
        yield Finding(
            item,
            "problem",
            f"there is no field {field}: what hangs on it stays empty. Correct {key} in "
            "company.toml.",
        )
    if mapped and not missing:
        yield Finding(item, "ok", f"has the mapped fields {', '.join(mapped.values())}")
