"""The systems that a company may have: what each keeps in its raw schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sources import amocrm, bitrix24
from sources.amocrm import history as amocrm_history
from sources.bitrix24 import history as bitrix24_history
from sources.bitrix24.tables import DETAIL_READS_KEY, DETAIL_READS_SCHEMA
from sources.company.rules import CrmSystem
from sources.history import VersionedTable
from sources.raw_tables import RawTable
from sources.telephony.providers import TABLES as TELEPHONY_TABLES

KEPT_TABLES = ("load_log", "deleted_records", "quarantine")
"""What the loads of every system keep beside what they receive."""


@dataclass(frozen=True)
class RawSystem:
    """One system's raw schema.

    Attributes:
        label: the system's name, for people.
        received: tables as received.
        versioned: of which versions are kept.
        kept: further tables that its loads keep: schema and primary key by name.
    """

    label: str
    received: Mapping[str, RawTable]
    versioned: tuple[VersionedTable, ...]
    kept: Mapping[str, tuple[pa.Schema, Sequence[str]]] = field(default_factory=dict)

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Tables that the loads write themselves."""
        return (*(table.versions for table in self.versioned), *KEPT_TABLES, *self.kept)

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables of the schema."""
        return (*self.received, *self.kept_names)


SYSTEMS: Mapping[CrmSystem, RawSystem] = {
    "bitrix24": RawSystem(
        "Bitrix24",
        bitrix24.TABLES,
        bitrix24_history.VERSIONED,
        {"detail_reads": (DETAIL_READS_SCHEMA, DETAIL_READS_KEY)},
    ),
    "amocrm": RawSystem("amoCRM", amocrm.TABLES, amocrm_history.VERSIONED),
}

TELEPHONY = RawSystem(
    "Telephony",
    {table.raw.name: table.raw for tables in TELEPHONY_TABLES.values() for table in tables},
    (),
)
"""All providers share a schema (docs/decisions/0012): calls of one company are few tables."""

RAW_SCHEMAS: Mapping[str, RawSystem] = {
    **{f"raw_{name}": system for name, system in SYSTEMS.items()},
    "raw_telephony": TELEPHONY,
}
