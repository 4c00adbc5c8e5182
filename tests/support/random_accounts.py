"""Random accounts of amoCRM in the warehouse of the random companies."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import duckdb

from sources.demo.amocrm.store import AmoStore
from sources.demo.store import from_microseconds
from tests.reference.handovers import Account, owned_in
from tests.support.agreement import Rows, differing
from tests.support.amo_accounts import lead_row, make_account

_OWNED = """
    select
        owned.source_key, owned.card_type, deals.deal_id, epoch_us(owned.owned_from_at),
        epoch_us(owned.owned_until_at),
        (select employee_id from marts.dim_employees
        where employee_key = owned.owner_employee_key),
        owned.owner_basis
    from marts.fct_owner_intervals as owned
    inner join marts.fct_deals as deals on owned.deal_key = deals.deal_key
    where owned.source_key like 'amocrm:a%'
"""


def write_account(account: Account, path: Path) -> AmoStore:
    """The account as a store of the demo."""
    store = make_account(path)
    store.clock = from_microseconds(account.clock)
    store.insert(
        "lead",
        [
            lead_row(
                lead.id,
                responsible_user_id=lead.owner_id,
                created_at=lead.created_at,
                updated_at=lead.modified_at,
                is_deleted=int(lead.is_deleted),
            )
            for lead in account.leads
        ],
    )
    store.insert(
        "event",
        [
            {
                "id": f"01hand{change.number:020}",
                "type": "entity_responsible_changed",
                "entity_id": change.lead_id,
                "entity_type": "lead",
                "created_by": 1,
                "created_at": change.changed_at,
                "value_before": [{"responsible_user": {"id": change.before}}],
                "value_after": [{"responsible_user": {"id": change.after}}],
            }
            for change in account.handovers
        ]
        + [
            {
                "id": f"00add{lead.id:021}",
                "type": "lead_added",
                "entity_id": lead.id,
                "entity_type": "lead",
                "created_by": 1,
                "created_at": lead.created_at,
                "value_before": [],
                "value_after": [],
            }
            for lead in account.leads
            if lead.is_creation_told
        ],
    )
    return store


def differences_of_accounts(
    connection: duckdb.DuckDBPyConnection, accounts: dict[str, Account]
) -> dict[str, dict[str, Rows]]:
    """Owner intervals that only one side has, by source key."""
    got: dict[str, Rows] = defaultdict(list)
    for source_key, *row in connection.execute(_OWNED).fetchall():
        got[source_key].append(tuple(row))
    found: dict[str, dict[str, Rows]] = {}
    for source_key, account in accounts.items():
        wanted: Rows = [
            (*one.card, one.since, one.until, one.owner_id, one.basis)
            for times in owned_in(account).values()
            for one in times
        ]
        odd = differing({"owner intervals": (got[source_key], wanted)})
        if odd:
            found[source_key] = odd
    return found
