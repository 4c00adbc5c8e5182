"""From arrays to a frame with the columns of one of the store's entities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.demo import store as portal_store
from sources.demo.generator.records import END_OF_TIME
from sources.demo.generator.rhythm import to_microseconds

TEXT_KINDS = ("text", "decimal", "json")
ARROW_INTEGER, ARROW_TEXT = pa.int64(), pa.string()
_PANDAS_TYPES: Mapping[pa.DataType, Any] = {
    ARROW_INTEGER: pd.Int64Dtype(),
    ARROW_TEXT: pd.StringDtype("pyarrow"),
}


CURRENCY = "RUB"
LEAD_OWNER, DEAL_OWNER, CONTACT_OWNER = 1, 2, 3
"""Entity types of owners and bindings (vendor's page crm/data-types)."""


def frame(entity_name: str, columns: Mapping[str, Any], count: int) -> pd.DataFrame:
    """A DataFrame of an entity from arrays and constants; absent columns are null.

    Raises:
        KeyError: a column that the entity does not have.
    """
    entity = portal_store.ENTITIES[entity_name]
    unknown = columns.keys() - entity.columns.keys()
    if unknown:
        raise KeyError(f"{entity_name} has no column {sorted(unknown)}")
    arrays = []
    for name, kind in entity.columns.items():
        arrow_type = ARROW_TEXT if kind in TEXT_KINDS else ARROW_INTEGER
        value = columns.get(name)
        if value is None:
            arrays.append(pa.nulls(count, arrow_type))
        elif isinstance(value, str | int):
            arrays.append(pa.repeat(pa.scalar(value, arrow_type), count))
        else:
            array = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value)
            arrays.append(array if array.type == arrow_type else array.cast(arrow_type))
    table = pa.Table.from_arrays(arrays, names=list(entity.columns))
    result: pd.DataFrame = table.to_pandas(types_mapper=_PANDAS_TYPES.get)
    return result


def frame_of_rows(entity_name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A DataFrame of an entity from a few maps of column to stored value."""
    if not rows:
        return _empty_frame(entity_name).copy()
    entity = portal_store.ENTITIES[entity_name]
    columns = {
        name: pa.array(
            [row.get(name) for row in rows],
            ARROW_TEXT if kind in TEXT_KINDS else ARROW_INTEGER,
        )
        for name, kind in entity.columns.items()
    }
    return frame(entity_name, columns, len(rows))


@cache
def _empty_frame(entity_name: str) -> pd.DataFrame:
    # Most frames of dictionaries and of planted troubles are empty; making one takes 1 ms.
    return frame(entity_name, {}, 0)


def nullable(ids: npt.NDArray[Any]) -> pa.Array:
    """Ids in which 0 means none."""
    return pa.array(ids, mask=np.asarray(ids) == 0)


def moments(times: npt.NDArray[np.int64]) -> pa.Array:
    """Stored instants of local seconds in which `END_OF_TIME` means none."""
    return pa.array(to_microseconds(times), mask=times == END_OF_TIME)


def linked(ids: npt.NDArray[np.int64], places: npt.NDArray[Any]) -> pa.Array:
    """Ids where there is a record at the other end."""
    return pa.array(ids, mask=np.asarray(places) < 0)


def where(chosen: npt.NDArray[np.bool_], texts: pa.Array, otherwise: str | None = None) -> pa.Array:
    """The texts where chosen, else the other one."""
    return pc.if_else(pa.array(chosen), texts, pa.scalar(otherwise, ARROW_TEXT))
