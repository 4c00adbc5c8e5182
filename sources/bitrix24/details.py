"""Details that the portal gives only owner by owner: bindings, task history, comments, rows.

One request each would be 500 times as much as a list, so only owners that changed since their last
reading are asked, newest first, a bounded number per load; `detail_reads` keeps which were, and
the rest waits for the next load and is counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from sources.bitrix24 import tables
from sources.bitrix24.lists import command
from sources.connection import Waiting
from sources.raw_tables import RawTable
from sources.web import listed


@dataclass(frozen=True)
class Owner:
    """Whose details are read.

    Attributes:
        type: `deal`, `lead`, `task` or `activity`.
        id: its id.
        changed_at: when it changed last, as raw knows it; None where it does not matter.
    """

    type: str
    id: int
    changed_at: dt.datetime | None


@dataclass(frozen=True)
class Detail:
    """One kind of details.

    Attributes:
        table: where the rows go.
        owners: the entities of the owners.
        candidates: SQL of owner_type, owner_id, changed_at and created_at of everything that has
            details; `{schema}` is the raw schema.
        request: parameters that read one owner, with rows above an id.
        rows: rows of an answer, with what the portal leaves out.
        is_paged: by 50, in the order of ids.
        everything: SQL that counts all owners, where some need no reading.
    """

    table: RawTable
    owners: tuple[str, ...]
    candidates: str
    request: Callable[[Owner, int], dict[str, Any]]
    rows: Callable[[Any, Owner], list[Any]]
    is_paged: bool
    everything: str = ""

    @property
    def name(self) -> str:
        """The entity's name."""
        return self.table.name

    def command(self, owner: Owner, after: int = 0) -> str:
        """The request as a command of a batch."""
        return command(self.table.method, self.request(owner, after))


def due(
    warehouse: duckdb.DuckDBPyConnection, detail: Detail, schema: str, source_key: str, limit: int
) -> list[Owner]:
    """Owners that were never read or have changed since, latest change first."""
    rows = warehouse.execute(
        f"{_pending(detail, schema)} order by changed_at desc nulls last, owner_id desc "
        "limit $limit",
        {"source_key": source_key, "entity": detail.name, "limit": limit},
    ).fetchall()
    return [Owner(*row) for row in rows]


def waiting(
    warehouse: duckdb.DuckDBPyConnection, detail: Detail, schema: str, source_key: str
) -> Waiting:
    """How many owners are due, and how many need no reading."""
    named = {"source_key": source_key, "entity": detail.name}
    row = warehouse.execute(f"select count(*) from ({_pending(detail, schema)})", named).fetchone()
    pending = int(row[0]) if row else 0
    if not detail.everything:
        return Waiting(pending)
    row = warehouse.execute(
        f"select ({detail.everything.format(schema=schema)}) - count(*) "
        f"from ({detail.candidates.format(schema=schema)})",
        {"source_key": source_key},
    ).fetchone()
    return Waiting(pending, int(row[0]) if row else 0)


def forget(
    warehouse: duckdb.DuckDBPyConnection,
    detail: Detail,
    schema: str,
    source_key: str,
    start: dt.datetime,
    end: dt.datetime,
) -> int:
    """Make the details of owners created in `[start, end)` due again; how many owners."""
    row = warehouse.execute(
        f"delete from {schema}.detail_reads "
        "where source_key = $source_key and entity = $entity and (owner_type, owner_id) in ("
        f"select (owner_type, owner_id) from ({detail.candidates.format(schema=schema)}) "
        "where created_at >= $start and created_at < $end)",
        {"source_key": source_key, "entity": detail.name, "start": start, "end": end},
    ).fetchone()
    return int(row[0]) if row else 0


def _pending(detail: Detail, schema: str) -> str:
    return (
        f"with candidates as ({detail.candidates.format(schema=schema)}) "
        f"select candidates.owner_type, candidates.owner_id, candidates.changed_at from candidates "
        f"left join {schema}.detail_reads as reads "
        "on reads.source_key = $source_key and reads.entity = $entity "
        "and reads.owner_type = candidates.owner_type and reads.owner_id = candidates.owner_id "
        "where reads.owner_id is null or candidates.changed_at > reads.owner_changed_at "
        "or (candidates.changed_at is not null and reads.owner_changed_at is null)"
    )


def _product_rows(owner: Owner, after: int) -> dict[str, Any]:
    # The vendor's pages disagree on whether several owners may stand in one filter; one may.
    return {
        "filter": {
            "=ownerType": "D",
            "=ownerId": owner.id,
            ">id": after,
        },
        "order": {"id": "ASC"},
        "start": -1,
    }


def _comments(owner: Owner, after: int) -> dict[str, Any]:
    return {
        "filter": {"ENTITY_TYPE": owner.type, "ENTITY_ID": owner.id, ">ID": after},
        "order": {"ID": "ASC"},
        "start": -1,
    }


def _with(constants: Mapping[str, Any], rows: list[Any]) -> list[Any]:
    return [{**row, **constants} if isinstance(row, dict) else row for row in rows]


PRODUCT_ROWS = Detail(
    tables.PRODUCT_ROWS,
    ("deals",),
    "select 'deal' as owner_type, id as owner_id, date_modify as changed_at, "
    "date_create as created_at from {schema}.deals where source_key = $source_key",
    request=_product_rows,
    rows=lambda result, owner: listed(result, "productRows"),
    is_paged=True,
)
ACTIVITY_BINDINGS = Detail(
    tables.ACTIVITY_BINDINGS,
    ("activities",),
    # A call that belongs to the only card of its client is bound to that card: nothing to ask.
    """
    select
        'activity' as owner_type,
        activities.id as owner_id,
        activities.last_updated as changed_at,
        activities.created as created_at
    from {schema}.activities as activities
    left join {schema}.deals as deals
        on activities.source_key = deals.source_key
        and activities.owner_id = deals.id
        and activities.owner_type_id = 2
    left join (
        select contact_id, count(*) as card_count
        from (
            select contact_id from {schema}.deals where source_key = $source_key
            union all
            select contact_id from {schema}.leads where source_key = $source_key
        )
        where contact_id <> 0
        group by contact_id
    ) as by_contact
        on deals.contact_id = by_contact.contact_id
    left join (
        select company_id, count(*) as card_count
        from (
            select company_id from {schema}.deals where source_key = $source_key
            union all
            select company_id from {schema}.leads where source_key = $source_key
        )
        where company_id <> 0
        group by company_id
    ) as by_company
        on deals.company_id = by_company.company_id
    where activities.source_key = $source_key
        and activities.type_id = 2
        and (deals.id is null or by_contact.card_count > 1 or by_company.card_count > 1)
    """,
    request=lambda owner, after: {"activityId": owner.id},
    rows=lambda result, owner: _with({"activityId": owner.id}, listed(result)),
    is_paged=False,
    everything="select count(*) from {schema}.activities "
    "where source_key = $source_key and type_id = 2",
)
TASK_HISTORY = Detail(
    tables.TASK_HISTORY,
    ("tasks",),
    "select 'task' as owner_type, id as owner_id, changed_date as changed_at, "
    "created_date as created_at from {schema}.tasks where source_key = $source_key",
    request=lambda owner, after: {"taskId": owner.id},
    rows=lambda result, owner: _with({"taskId": owner.id}, listed(result, "list")),
    is_paged=False,
)
TIMELINE_COMMENTS = Detail(
    tables.TIMELINE_COMMENTS,
    ("deals", "leads"),
    """
    select 'deal' as owner_type, id as owner_id, date_modify as changed_at,
        date_create as created_at
    from {schema}.deals where source_key = $source_key
    union all
    select 'lead' as owner_type, id as owner_id, date_modify as changed_at,
        date_create as created_at
    from {schema}.leads where source_key = $source_key
    """,
    request=_comments,
    rows=lambda result, owner: _with(
        {"ENTITY_TYPE": owner.type, "ENTITY_ID": owner.id}, listed(result)
    ),
    is_paged=True,
)
DETAILS: tuple[Detail, ...] = (PRODUCT_ROWS, ACTIVITY_BINDINGS, TASK_HISTORY, TIMELINE_COMMENTS)
