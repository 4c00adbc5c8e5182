"""The pasts of portals, written into raw as earlier loads have left them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from sources.demo.store import from_microseconds
from tests.reference.records import Past, Portal

_KINDS = {"deal": "deals", "lead": "leads", "contact": "contacts"}
_RESTORED = 5
"""Of so many cards one was once in the recycle bin."""


def write_pasts(
    connection: duckdb.DuckDBPyConnection, portals: Mapping[str, Portal], pasts: Mapping[str, Past]
) -> None:
    """Put pasts behind what a first load of each portal has left, both by source key.

    Versions of users, deals and leads are then those of the pasts alone. A user whom the portal no
    longer lists stands in raw; of some of them only versions tell, as in a restored warehouse.
    """
    rows: dict[str, list[dict[str, Any]]] = {
        "user_versions": [],
        "users": [],
        "deal_versions": [],
        "lead_versions": [],
        "deleted_records": [],
        "loads": [],
    }
    for key, past in pasts.items():
        for table, found in _rows(portals[key], past).items():
            rows[table] += ({"source_key": key, **row} for row in found)
    connection.execute("set TimeZone = 'UTC'")
    for table in ("user_versions", "deal_versions", "lead_versions"):
        connection.execute(
            f"delete from raw_bitrix24.{table} where source_key in (select unnest(?))",
            [list(pasts)],
        )
    loads = rows.pop("loads")
    for table, found in rows.items():
        if found:
            _insert(connection, "select * from added", table, found)
    if loads:
        _insert(
            connection,
            "select log.* replace (added.cut_at as cut_at) from added "
            "inner join raw_bitrix24.load_log as log using (source_key) "
            "where log.entity = 'users'",
            "load_log",
            loads,
        )


def past_files(pasts: Mapping[str, Past]) -> dict[str, str]:
    """`owners.csv` and `dismissals.csv`, pasts by source key."""
    owners = ["connection,deal_id,employee_id,owned_from"]
    dismissals = ["connection,employee_id,dismissed_on"]
    for key, past in pasts.items():
        name = key.removeprefix("bitrix24:")
        owners += [
            f"{name},{line.deal_id},{line.employee_id},{line.owned_from or ''}"
            for line in past.owner_lines
        ]
        dismissals += [f"{name},{number},{day}" for number, day in past.dismissals.items()]
    return {
        "owners.csv": "\n".join(owners) + "\n",
        "dismissals.csv": "\n".join(dismissals) + "\n",
    }


def _insert(
    connection: duckdb.DuckDBPyConnection, query: str, table: str, rows: list[dict[str, Any]]
) -> None:
    connection.register("added", pa.Table.from_pylist(rows))
    connection.execute(f"insert into raw_bitrix24.{table} by name {query}")
    connection.unregister("added")


def _rows(portal: Portal, past: Past) -> dict[str, Iterable[dict[str, Any]]]:
    listed = {user.id for user in portal.users}
    now = from_microseconds(portal.clock)
    users = [
        {
            "id": sight.user_id,
            "active": sight.is_active,
            "name": sight.name.partition(" ")[0],
            "last_name": sight.name.partition(" ")[2],
            "last_login": _instant(sight.last_login),
            "last_activity_date": _instant(sight.last_activity),
            "first_seen_at": _instant(sight.first_seen_at),
            "last_seen_at": _instant(sight.last_seen_at),
        }
        for sight in past.users
    ]
    gone = {row["id"]: row for row in users if row["id"] not in listed and row["id"] % 2}
    cards = [
        *(("deal", deal.id) for deal in portal.deals),
        *(("lead", lead.id) for lead in portal.leads),
    ]
    return {
        "user_versions": users,
        "users": [
            {
                **{n: row[n] for n in ("id", "active", "name", "last_name", "last_login")},
                "last_activity_date": row["last_activity_date"],
                "received_at": row["last_seen_at"],
            }
            for row in gone.values()
        ],
        "deal_versions": _card_versions(past, "deal"),
        "lead_versions": _card_versions(past, "lead"),
        "deleted_records": [
            *(
                {"entity": _KINDS[kind], "id": number, "noticed_at": now}
                for kind, number in past.deleted
            ),
            *(
                {
                    "entity": _KINDS[kind],
                    "id": number,
                    "noticed_at": from_microseconds(portal.clock - 1),
                }
                for kind, number in cards
                if number % _RESTORED == 0 and (kind, number) not in past.deleted
            ),
        ],
        "loads": [{"cut_at": _instant(cut)} for cut in past.loads if cut < portal.clock],
    }


def _card_versions(past: Past, card_type: str) -> list[dict[str, Any]]:
    return [
        {
            "id": sight.card_id,
            "assigned_by_id": sight.owner_id,
            "first_seen_at": _instant(sight.seen_at),
            "last_seen_at": _instant(sight.seen_at),
        }
        for sight in past.owners
        if sight.card_type == card_type
    ]


def _instant(microseconds: int | None) -> Any:
    return None if microseconds is None else from_microseconds(microseconds)
