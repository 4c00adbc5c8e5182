"""Raw tables of telephony as finished loads leave them, without a load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from orchestration.systems import TELEPHONY
from sources.bookkeeping import Books, EntityLoad
from sources.connection import Tally
from sources.extraction import QUARANTINE_SCHEMA, Extraction
from sources.telephony.providers import TABLES
from tests.support.raw_tables import create_table

SCHEMA = "raw_telephony"


@dataclass(frozen=True)
class Pbx:
    """What one connection has loaded.

    Attributes:
        cut_at: its clock, aware, in the zone of times that come without one.
        rows: by raw table, rows as the reader gives them.
    """

    cut_at: dt.datetime
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def write_raw_telephony(
    connection: duckdb.DuckDBPyConnection, pbxs: Mapping[str, Pbx] | None = None
) -> None:
    """Create `raw_telephony` as one finished load of each telephony leaves it.

    Args:
        connection: the warehouse; it has no such tables yet.
        pbxs: by source key, `<provider>:<connection>`; none makes the tables empty.
    """
    given = pbxs or {}
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create schema if not exists {SCHEMA}")
    extractions = {key: Extraction(key, Tally()) for key in given}
    for name, table in TELEPHONY.received.items():
        entity = name.partition("_")[2]
        parts = [
            extractions[key].parse(table, list(pbx.rows.get(name, ())), pbx.cut_at, entity)
            for key, pbx in given.items()
        ]
        rows = pa.concat_tables([table.schema.empty_table(), *parts])
        create_table(connection, f"{SCHEMA}.{name}", rows, table.json_columns)
    refused = [QUARANTINE_SCHEMA.empty_table(), *(one.refused() for one in extractions.values())]
    create_table(connection, f"{SCHEMA}.quarantine", pa.concat_tables(refused))
    Books(connection, SCHEMA, "")  # makes its tables, whoever's they are
    connection.begin()
    for key, pbx in given.items():
        loads = [
            _load(extractions[key].tally, table.entity, table.raw.name)
            for table in TABLES[key.partition(":")[0]]
        ]
        Books(connection, SCHEMA, key).write_log(pbx.cut_at, loads)
    connection.commit()


def _load(tally: Tally, entity: str, table: str) -> EntityLoad:
    received, refused = tally.received.get(entity, 0), tally.quarantined.get(entity, 0)
    return EntityLoad(
        entity,
        table,
        rows_reported=received,
        rows_received=received,
        rows_quarantined=refused,
        rows_raw=received - refused,
    )
