"""The invented company as raw tables, without a portal in between: for measuring and big tests.

What the dlt source of Bitrix24 would make of the portal's answers, converted column by column
instead of request by request; a test keeps both equal on a small company.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sources.bitrix24 import tables
from sources.bitrix24.tables import ARROW_TYPES
from sources.demo.generator.company import PlantedTroubles, generate
from sources.demo.generator.rhythm import CLOCK, UTC_OFFSET_MINUTES
from sources.demo.generator.sizes import CompanySize, SizeName

_DEAL_ENTITY_TYPE = 2
_CALL_TYPE = 2

Conversion = Callable[[pd.DataFrame], dict[str, Any]]


def write_raw_parquet(
    folder: Path,
    size: SizeName | CompanySize = "small",
    seed: int = 1,
    source_key: str = "bitrix24:main",
) -> PlantedTroubles:
    """Write the invented company as `<folder>/<raw table>/part-<chunk>.parquet`.

    The files have exactly the schemas of `sources.bitrix24.TABLES`, received at the portal's
    clock. Every table has a `part-0000.parquet`, if need be without rows; chunks without rows of
    a table write no file for it.

    Args:
        folder: a new or empty folder.
        size: a named size or numbers of your own.
        seed: of the company.
        source_key: first column of every table.

    Returns:
        What was planted, as `write_store` returns it.

    Raises:
        FileExistsError: there is something in the folder.
        ValueError: an unknown size.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: remove it or give another folder")
    for name in tables.TABLES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    planted: PlantedTroubles = {}
    for number, chunk in enumerate(generate(size, seed)):
        for name in tables.TABLES:
            rows = raw_table(name, chunk.frames, source_key)
            if len(rows) or number == 0:
                pq.write_table(rows, folder / name / f"part-{number:04}.parquet")
        if chunk.planted:
            planted[chunk.label] = [dict(entry) for entry in chunk.planted]
    return planted


def raw_table(name: str, frames: Mapping[str, pd.DataFrame], source_key: str) -> pa.Table:
    """One raw table of a chunk's frames, in the table's declared schema."""
    table = tables.TABLES[name]
    entity, convert = _SOURCES[name]
    rows = _loaded(name, frames[entity])
    fields = convert(rows)
    count = len(rows)
    arrays = [pa.repeat(pa.scalar(source_key), count)]
    arrays += [_typed(fields.get(column.field), column.kind, count) for column in table.columns]
    arrays.append(_typed(fields.get("extra"), "json", count))
    received = pa.scalar(CLOCK, ARROW_TYPES["instant"])
    arrays.append(pa.repeat(received, count))
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _loaded(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the source asks for."""
    if name == "activities":
        return rows[rows["TYPE_ID"] == _CALL_TYPE]
    if name == "statuses":
        of_deals = rows["ENTITY_ID"].str.startswith("DEAL_STAGE") | (rows["ENTITY_ID"] == "SOURCE")
        return rows[of_deals]
    return rows


def _typed(values: Any, kind: tables.Kind, count: int) -> pa.Array:
    arrow_type = ARROW_TYPES[kind]
    if values is None:
        return pa.nulls(count, arrow_type)
    if isinstance(values, str | int):
        return pa.repeat(pa.scalar(values, arrow_type), count)
    return pa.array(values).cast(arrow_type)


def _same(rows: pd.DataFrame) -> dict[str, Any]:
    return {str(name): rows[name] for name in rows.columns}


def _with_custom_fields(rows: pd.DataFrame) -> dict[str, Any]:
    # crm.*.list prints "no company" as 0, and custom fields beside the documented ones.
    return _same(rows) | {
        "COMPANY_ID": rows["COMPANY_ID"].fillna(0),
        "extra": rows["CUSTOM"].mask(rows["CUSTOM"] == "{}"),
    }


def _category(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "id": rows["ID"],
        "name": rows["NAME"],
        "sort": rows["SORT"],
        "entityTypeId": _DEAL_ENTITY_TYPE,
        "isDefault": rows["IS_DEFAULT"],
    }


def _user(rows: pd.DataFrame) -> dict[str, Any]:
    # user.get prints TIMESTAMP_X as an empty map.
    return _same(rows) | {"extra": '{"TIMESTAMP_X": {}}'}


def _user_snapshot(rows: pd.DataFrame) -> dict[str, Any]:
    observed_on = (CLOCK + dt.timedelta(minutes=UTC_OFFSET_MINUTES)).date()
    return _same(rows) | {"OBSERVED_ON": observed_on.isoformat()}


_SOURCES: Mapping[str, tuple[str, Conversion]] = {
    "users": ("user", _user),
    "user_snapshots": ("user", _user_snapshot),
    "departments": ("department", _same),
    "categories": ("category", _category),
    "statuses": ("status", _same),
    "contacts": ("contact", _with_custom_fields),
    "deals": ("deal", _with_custom_fields),
    "stage_history": ("stage_history", _same),
    "activities": ("activity", _same),
    "calls": ("call", _same),
}
"""Raw table to the entity behind it and how the source reads its answers."""
