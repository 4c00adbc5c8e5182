"""Which tables and columns are published, read from dbt's manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBLISHED_SCHEMAS = ("marts", "metrics")


@dataclass(frozen=True)
class PublishedTable:
    """One table as BI sees it: `columns` are those neither personal nor hidden, in order."""

    schema: str
    name: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def schema_hash(self) -> str:
        """Changes when a column comes, goes or moves."""
        return hashlib.sha256(",".join(self.columns).encode()).hexdigest()[:16]


def published_tables(manifest: Mapping[str, Any]) -> tuple[PublishedTable, ...]:
    """Every mart and metric table; columns whose `meta.pii` is not `none` are left out.

    A column without the mark is left out too: forgetting must not publish. So are columns marked
    `is_hidden`: true keys of employees, behind which reports would name the dismissed.
    """
    tables = []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model" or node["schema"] not in PUBLISHED_SCHEMAS:
            continue
        is_public = {
            column["name"]: _is_public(column.get("config", {}).get("meta", {}))
            for column in node["columns"].values()
        }
        tables.append(
            PublishedTable(
                schema=node["schema"],
                name=node["name"],
                columns=tuple(name for name, public in is_public.items() if public),
                left_out=tuple(name for name, public in is_public.items() if not public),
            )
        )
    return tuple(sorted(tables, key=lambda table: (table.schema, table.name)))


def _is_public(meta: Mapping[str, Any]) -> bool:
    return meta.get("pii") == "none" and not meta.get("is_hidden", False)
