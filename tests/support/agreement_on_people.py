"""Who owned, made and is named for what, and on which local day: marts and reference compared."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping

import duckdb

from tests.reference.calls import calls
from tests.reference.employees import staff
from tests.reference.origins import first_deals, made_by, origins
from tests.reference.owners import credits, owned, owner_at
from tests.reference.records import Deal, Lead, Past, Portal, without_deleted
from tests.reference.rules import Rules, local_date
from tests.reference.stages import (
    client_of_card,
    deal_closes,
    known_deals,
    known_leads,
    lead_closes,
    repeat_deals,
    visits,
)
from tests.support.agreement import Rows, differing


def _account(column: str) -> str:
    """The account behind a true key; null for nobody."""
    return (
        f"(select employee_id from marts.dim_employees where employee_key = facts.{column}) "
        f"as {column}"
    )


def _reported(column: str) -> str:
    """Whom a reporting key names."""
    return f"""
        case facts.{column}
            when -1 then 'former'
            when -2 then 'nobody'
            else (
                select employee_id from marts.dim_employees where employee_key = facts.{column}
            )::varchar
        end as {column}
    """


_NEVER = dt.date(9999, 12, 31)
_EMPLOYEES = """
    select
        source_key, employee_id, employee_name, is_active, dismissed_on, dismissed_on_basis,
        former_from_on, current_reporting_key = -1
    from marts.dim_employees
    where employee_kind = 'person'
"""
_SYSTEM_ACCOUNTS = """
    select source_key, employee_id, is_active, former_from_on, current_reporting_key = employee_key
    from marts.dim_employees
    where employee_kind = 'system'
"""
_OWNED = f"""
    select
        facts.source_key, facts.card_type, coalesce(deals.deal_id, leads.lead_id),
        epoch_us(facts.owned_from_at), facts.owned_from_on, epoch_us(facts.owned_until_at),
        {_account("owner_employee_key")}, facts.owner_basis,
        {_reported("reporting_employee_key")}
    from marts.fct_owner_intervals as facts
    left join marts.fct_deals as deals on facts.deal_key = deals.deal_key
    left join marts.fct_leads as leads on facts.lead_key = leads.lead_key
"""
_VISITS = f"""
    select
        facts.source_key, facts.card_type, coalesce(deals.deal_id, leads.lead_id),
        facts.visit_number, facts.entered_on, {_account("owner_employee_key")}, facts.owner_basis,
        {_reported("reporting_employee_key")}
    from marts.fct_stage_visits as facts
    left join marts.fct_deals as deals on facts.deal_key = deals.deal_key
    left join marts.fct_leads as leads on facts.lead_key = leads.lead_key
"""
_CLOSES = f"""
    select
        facts.source_key, deals.deal_id, facts.close_number, facts.closed_on,
        {_account("owner_employee_key")},
        facts.owner_basis, {_reported("reporting_employee_key")}
    from marts.fct_deal_closes as facts
    inner join marts.fct_deals as deals on facts.deal_key = deals.deal_key
"""
_DEALS = f"""
    select
        facts.source_key, facts.deal_id, facts.created_on, facts.closed_on,
        {_account("owner_employee_key")},
        {_account("close_owner_employee_key")}, {_reported("reporting_employee_key")},
        {_reported("close_reporting_employee_key")}, {_reported("current_reporting_employee_key")},
        clients.client_type, clients.client_id
    from marts.fct_deals as facts
    left join marts.dim_clients as clients on facts.client_key = clients.client_key
"""
_ORIGINS = """
    select
        facts.source_key, facts.deal_id, leads.lead_id, epoch_us(facts.lead_created_at),
        facts.made_by, facts.is_repeat_client
    from marts.fct_deals as facts
    left join marts.fct_leads as leads on facts.lead_key = leads.lead_key
"""
_LEADS = f"""
    select
        facts.source_key, facts.lead_id, facts.created_on, facts.closed_on,
        {_account("owner_employee_key")},
        {_reported("reporting_employee_key")}, {_reported("current_reporting_employee_key")},
        facts.made_by, deals.deal_id
    from marts.fct_leads as facts
    left join marts.fct_deals as deals on facts.first_deal_key = deals.deal_key
"""
_CALLS = f"""
    select
        facts.source_key, facts.call_id, facts.started_on, {_account("talker_employee_key")},
        {_reported("reporting_employee_key")}
    from marts.fct_calls as facts
"""


_QUERIES = {
    "employees": _EMPLOYEES,
    "system accounts": _SYSTEM_ACCOUNTS,
    "owner intervals": _OWNED,
    "owners of visits": _VISITS,
    "credit of closes": _CLOSES,
    "people and days of deals": _DEALS,
    "origins": _ORIGINS,
    "people and days of leads": _LEADS,
    "people and days of calls": _CALLS,
}


def differences_of_people(
    connection: duckdb.DuckDBPyConnection,
    portals: Mapping[str, tuple[Portal, Past]],
    rules: Rules,
) -> dict[str, dict[str, Rows]]:
    """Rows that only one side has, by connection and table; empty where marts and reference agree.

    Each mart is read once for all connections: 15 ms a query are 20 s for 120 portals.

    Args:
        connection: of the warehouse.
        portals: by source key all that raw holds, and what loads and files have told of it.
        rules: the company's.
    """
    got: dict[str, dict[str, Rows]] = {name: defaultdict(list) for name in _QUERIES}
    for name, sql in _QUERIES.items():
        for source_key, *row in connection.execute(sql).fetchall():
            got[name][source_key].append(tuple(row))
    found: dict[str, dict[str, Rows]] = {}
    for source_key, (portal, past) in portals.items():
        wanted = _expected(portal, past, rules)
        odd = differing({name: (got[name][source_key], wanted[name]) for name in _QUERIES})
        if odd:
            found[source_key] = odd
    return found


def _expected(raw: Portal, past: Past, rules: Rules) -> dict[str, Rows]:
    portal = without_deleted(raw, past)
    people = staff(portal, past, rules)
    found_calls = calls(portal, rules)
    owners = owned(portal, past, rules)
    robots = _named(raw, past) - people.employees.keys()
    found_credits = credits(portal, past, rules, people)
    # The close that stands.
    credited = {one.close.deal_id: one for one in found_credits if one.close.ended_at is None}
    stays = [(stay, owner_at(owners[stay.card], stay.entered_at)) for stay in visits(portal, rules)]
    closed = {deal.deal_id: deal.closed_at for deal in deal_closes(portal, rules)}
    closed_leads = {lead.lead_id: lead.closed_at for lead in lead_closes(portal, rules)}
    made_from = first_deals(portal, rules)
    repeated = repeat_deals(portal, rules)

    def day(instant: int | None) -> object:
        return None if instant is None else local_date(instant, rules)

    def reported(account: int | None, instant: int) -> str:
        return str(people.reported(account, instant))

    return {
        "employees": [
            (
                employee.id,
                employee.name,
                employee.is_active,
                employee.dismissed_on,
                employee.dismissed_on_basis,
                employee.former_from or _NEVER,
                people.reported_now(employee.id) == "former",
            )
            for employee in people.employees.values()
        ],
        "system accounts": [(number, True, _NEVER, True) for number in robots],
        "owner intervals": [
            (
                *one.card,
                one.since,
                day(one.since),
                one.until,
                one.owner_id or None,
                one.basis,
                reported(one.owner_id, one.since),
            )
            for intervals in owners.values()
            for one in intervals
        ],
        "owners of visits": [
            (
                *stay.card,
                stay.position,
                day(stay.entered_at),
                owner.owner_id or None,
                owner.basis,
                reported(owner.owner_id, stay.entered_at),
            )
            for stay, owner in stays
        ],
        "credit of closes": [
            (
                one.close.deal_id,
                one.close.number,
                day(one.close.closed_at),
                one.owner_id or None,
                one.basis,
                reported(one.owner_id, one.close.closed_at),
            )
            for one in found_credits
        ],
        "people and days of deals": [
            (
                deal.id,
                day(deal.date_create),
                day(closed[deal.id]),
                deal.assigned_by_id or None,
                (credit.owner_id or None) if credit else None,
                reported(deal.assigned_by_id, deal.date_create),
                reported(credit.owner_id, credit.close.closed_at) if credit else None,
                str(people.reported_now(deal.assigned_by_id)),
                *(client_of_card(deal) or (None, None)),
            )
            for deal in known_deals(portal, rules)
            for credit in [credited.get(deal.id)]
        ],
        "origins": [
            (
                origin.deal_id,
                origin.lead_id,
                origin.lead_created_at,
                origin.made_by,
                repeated[origin.deal_id],
            )
            for origin in origins(portal, rules, people)
        ],
        "people and days of leads": [
            (
                lead.id,
                day(lead.date_create),
                day(closed_leads[lead.id]),
                lead.assigned_by_id or None,
                reported(lead.assigned_by_id, lead.date_create),
                str(people.reported_now(lead.assigned_by_id)),
                made_by(lead, people),
                made_from[lead.id],
            )
            for lead in known_leads(portal, rules)
        ],
        "people and days of calls": [
            (
                call.call_id,
                day(call.started_at),
                call.portal_user_id or None,
                reported(call.portal_user_id, call.started_at),
            )
            for call in found_calls
        ],
    }


def _named(portal: Portal, past: Past) -> set[int]:
    """The accounts that any record names, also one that does not count."""
    cards: list[Deal | Lead] = [*portal.deals, *portal.leads]
    named = {
        *(deal.moved_by_id for deal in portal.deals),
        *(card.created_by_id for card in cards),
        *(card.assigned_by_id for card in cards),
        *(sight.owner_id for sight in past.owners),
        *(row.portal_user_id for row in portal.calls),
    }
    return {number for number in named if number}
