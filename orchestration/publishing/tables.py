"""Which tables and columns are published, read from dbt's manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PUBLISHED_SCHEMAS = ("marts", "metrics")


@dataclass(frozen=True)
class PublishedTable:
    """One table as BI sees it: `columns` are those neither personal nor hidden, in order."""

    schema: str
    name: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    description: str = ""
    column_descriptions: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The column that dbt's tests hold to be unique and never empty."""
    references: tuple[str, ...] = ()
    """Columns that lead to other tables."""

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
    tested = _tested(manifest)
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
                description=node.get("description", ""),
                column_descriptions={
                    column["name"]: column.get("description", "")
                    for column in node["columns"].values()
                },
                key=_key(tested.get(node.get("unique_id", ""), {})),
                references=tuple(
                    sorted(tested.get(node.get("unique_id", ""), {}).get("relationships", ()))
                ),
            )
        )
    return tuple(sorted(tables, key=lambda table: (table.schema, table.name)))


def _is_public(meta: Mapping[str, Any]) -> bool:
    return meta.get("pii") == "none" and not meta.get("is_hidden", False)


def _tested(manifest: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """By model and generic test: the columns that it guards without a condition."""
    found: dict[str, dict[str, set[str]]] = {}
    for node in manifest["nodes"].values():
        test, column = node.get("test_metadata"), node.get("column_name")
        if test and column and not node["config"].get("where"):
            of_model = found.setdefault(str(node.get("attached_node")), {})
            of_model.setdefault(test["name"], set()).add(column)
    return found


def _key(tested: Mapping[str, set[str]]) -> str | None:
    return min(tested.get("unique", set()) & tested.get("not_null", set()), default=None)
