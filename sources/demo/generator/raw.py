"""The invented company as raw tables, without a portal in between: for measuring and big tests.

What the dlt source of Bitrix24 would make of the portal's answers, converted column by column
instead of request by request; a test keeps both equal on a small company. One difference: bindings
are those of calls that no deal owns, which a chunk can tell by itself; the source also asks for
those of deals whose client has several cards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sources.bitrix24 import tables
from sources.demo.generator.company import PlantedTroubles, generate
from sources.demo.generator.rhythm import CLOCK
from sources.demo.generator.sizes import CompanySize, SizeName
from sources.demo.store import DEAL_TYPE_ID, INVOICE_TYPE_ID
from sources.raw_tables import ARROW_TYPES, Kind

_CALL_TYPE = 2
_BINDING_COLUMNS = ["ACTIVITY_ID", "ENTITY_TYPE_ID", "ENTITY_ID"]
_STATUS_ENTITIES = ("STATUS", "SOURCE")
_STAGE_ENTITIES = ("DEAL_STAGE", "SMART_INVOICE_STAGE_", "DYNAMIC_")

# What the portal prints beside the declared fields.
_INVOICE_EXTRA = f'{{"entityTypeId": {INVOICE_TYPE_ID}, '
_CURRENCY_EXTRA = '{"FORMAT_STRING": "#", "DEC_POINT": ".", "THOUSANDS_SEP": " ", "DECIMALS": "2"}'

Frames = Mapping[str, pd.DataFrame]
Selection = Callable[[Frames], pd.DataFrame]
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
    select, convert = _SOURCES[name]
    rows = select(frames)
    fields = convert(rows)
    count = len(rows)
    arrays = [pa.repeat(pa.scalar(source_key), count)]
    arrays += [_typed(fields.get(column.field), column.kind, count) for column in table.columns]
    arrays.append(_typed(fields.get("extra"), "json", count))
    received = pa.scalar(CLOCK, ARROW_TYPES["instant"])
    arrays.append(pa.repeat(received, count))
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _typed(values: Any, kind: Kind, count: int) -> pa.Array:
    arrow_type = ARROW_TYPES[kind]
    if values is None:
        return pa.nulls(count, arrow_type)
    if isinstance(values, str | int):
        return pa.repeat(pa.scalar(values, arrow_type), count)
    return pa.array(values).cast(arrow_type)


def _same(rows: pd.DataFrame) -> dict[str, Any]:
    return {str(name): rows[name] for name in rows.columns}


def _with_custom_fields(rows: pd.DataFrame) -> dict[str, Any]:
    # crm.*.list prints custom fields beside the documented ones.
    return _same(rows) | {"extra": rows["CUSTOM"].mask(rows["CUSTOM"] == "{}")}


def _of_company(rows: pd.DataFrame) -> dict[str, Any]:
    # crm.*.list prints "no company" as 0.
    return _with_custom_fields(rows) | {"COMPANY_ID": rows["COMPANY_ID"].fillna(0)}


def _renamed(name: str) -> Conversion:
    """For methods that print camelCase: raw and the store have the same names, in two cases."""
    columns = tables.TABLES[name].columns
    return lambda rows: {
        column.field: rows[column.name.upper()]
        for column in columns
        if column.name.upper() in rows.columns
    }


def _items(name: str) -> Conversion:
    # crm.item.list prints "none" as 0.
    renamed = _renamed(name)
    return lambda rows: (
        renamed(rows)
        | {
            "companyId": rows["COMPANY_ID"].fillna(0),
            "contactId": rows["CONTACT_ID"].fillna(0),
            "extra": None if name == "smart_items" else _INVOICE_EXTRA + rows["CUSTOM"].str[1:],
        }
    )


def _user(rows: pd.DataFrame) -> dict[str, Any]:
    # user.get prints TIMESTAMP_X as an empty map.
    return _same(rows) | {"extra": '{"TIMESTAMP_X": {}}'}


def _currency(rows: pd.DataFrame) -> dict[str, Any]:
    return _same(rows) | {"extra": _CURRENCY_EXTRA}


def _custom_field(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "entityType": rows["ENTITY_TYPE"],
        "field": rows["FIELD_NAME"],
        "type": rows["USER_TYPE"],
        "label": rows["LABEL"],
        "isMultiple": rows["IS_MULTIPLE"],
    }


def _of(entity: str) -> Selection:
    return lambda frames: frames[entity]


def _statuses(frames: Frames) -> pd.DataFrame:
    rows = frames["status"]
    named = rows["ENTITY_ID"].isin(_STATUS_ENTITIES)
    return rows[named | rows["ENTITY_ID"].str.startswith(_STAGE_ENTITIES)]


def _options(frames: Frames) -> pd.DataFrame:
    """The options of list fields, one a row."""
    rows = [
        (field["ENTITY_TYPE"], field["FIELD_NAME"], option["ID"], option["VALUE"])
        for field in frames["custom_field"].to_dict("records")
        if isinstance(field["ITEMS"], str)
        for option in json.loads(field["ITEMS"])
    ]
    return pd.DataFrame(rows, columns=["entityType", "field", "ID", "VALUE"], dtype="string")


def _bindings(frames: Frames) -> pd.DataFrame:
    """Owner and further bindings of the calls that are not a deal's to begin with."""
    activities = frames["activity"]
    of_call = activities["TYPE_ID"] == _CALL_TYPE
    asked = activities[of_call & (activities["OWNER_TYPE_ID"] != DEAL_TYPE_ID)]
    owners = asked[["ID", "OWNER_TYPE_ID", "OWNER_ID"]].set_axis(_BINDING_COLUMNS, axis=1)
    bindings = frames["binding"]
    further = bindings[bindings["ACTIVITY_ID"].isin(asked["ID"])]
    return pd.concat([owners, further[_BINDING_COLUMNS]], ignore_index=True)


_SOURCES: Mapping[str, tuple[Selection, Conversion]] = {
    "users": (_of("user"), _user),
    "departments": (_of("department"), _same),
    "categories": (_of("category"), _renamed("categories")),
    "statuses": (_statuses, _same),
    "currencies": (_of("currency"), _currency),
    "custom_fields": (_of("custom_field"), _custom_field),
    "custom_field_options": (_options, _same),
    "products": (_of("product"), _same),
    "companies": (_of("company"), _with_custom_fields),
    "contacts": (_of("contact"), _of_company),
    "leads": (_of("lead"), _of_company),
    "deals": (_of("deal"), _of_company),
    "invoices": (_of("invoice"), _items("invoices")),
    "smart_items": (_of("smart_item"), _items("smart_items")),
    "lead_stage_history": (_of("lead_stage_history"), _same),
    "stage_history": (_of("stage_history"), _same),
    "invoice_stage_history": (_of("invoice_stage_history"), _same),
    "activities": (_of("activity"), _same),
    "tasks": (_of("task"), _renamed("tasks")),
    "calls": (_of("call"), _same),
    "product_rows": (_of("product_row"), _renamed("product_rows")),
    "activity_bindings": (_bindings, _renamed("activity_bindings")),
    "task_history": (_of("task_history"), _renamed("task_history")),
    "timeline_comments": (_of("timeline_comment"), _same),
}
"""Raw table to the rows behind it and how the source reads its answers."""
