"""The invented company: period by period, then trouble by trouble, and into a portal's store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sources.demo.generator.frames import Chunk, Writer
from sources.demo.generator.ids import id_spaces
from sources.demo.generator.plan import make_plan
from sources.demo.generator.planter import Site
from sources.demo.generator.rhythm import CLOCK, UTC_OFFSET_MINUTES
from sources.demo.generator.sizes import CompanySize, SizeName, size_of
from sources.demo.generator.troubles import TROUBLES, digits_grow_at, plant
from sources.demo.store import PortalStore, to_microseconds

TITLE = "Северный свет"

PlantedTroubles = dict[str, list[dict[str, Any]]]
"""Trouble name to its entries, plain JSON values; instants are ISO 8601 in UTC."""


def generate(
    size: SizeName | CompanySize = "small", seed: int = 1, *, without: Collection[str] = ()
) -> Iterator[Chunk]:
    """The invented company: a chunk per calendar month, then one per planted trouble.

    The same size and seed always give the same records. A trouble left out changes no record of
    the other chunks.

    Args:
        size: a named size or numbers of your own.
        seed: of all random streams.
        without: names of troubles to leave out.

    Raises:
        ValueError: an unknown size or trouble.
    """
    unknown = set(without) - TROUBLES.keys()
    if unknown:
        raise ValueError(f"no trouble {sorted(unknown)}: take from {', '.join(TROUBLES)}")
    plan = make_plan(size_of(size), seed)
    spaces = id_spaces(plan, digits_grow_at(plan))
    writer = Writer(plan, spaces)
    for number in range(len(plan.setting.edges) - 1):
        yield writer.chunk(number)
    site = Site(plan.setting, spaces)
    for name in TROUBLES:
        if name not in without:
            yield plant(name, site)


def write_store(
    path: Path,
    size: SizeName | CompanySize = "small",
    seed: int = 1,
    *,
    without: Collection[str] = (),
) -> PlantedTroubles:
    """Write the invented company into a new portal store.

    Returns:
        What was planted, as in the store's meta `planted`.

    Raises:
        FileExistsError: there is a file at the path.
        ValueError: an unknown size or trouble.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: remove it or give another path")
    planted: PlantedTroubles = {}
    with PortalStore(path) as store:
        store.create()
        for chunk in generate(size, seed, without=without):
            for entity_name, rows in chunk.frames.items():
                store.insert_tuples(entity_name, stored_tuples(rows))
            if chunk.planted:
                planted[chunk.label] = [dict(entry) for entry in chunk.planted]
        store.finish()
        store.set_meta("clock", to_microseconds(CLOCK))
        store.set_meta("utc_offset", UTC_OFFSET_MINUTES)
        store.set_meta("title", TITLE)
        store.set_meta("planted", planted)
        store.set_meta("seed", seed)
        store.set_meta("size", size if isinstance(size, str) else asdict(size))
    return planted


def stored_tuples(rows: pd.DataFrame) -> Iterable[tuple[Any, ...]]:
    """The rows of a chunk's frame as tuples of plain values, null as None."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return zip(*(_values(column) for column in table.columns), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    # A tenth of the time of to_pylist, which makes a scalar object of every value.
    if column.null_count == len(column):
        return [None] * len(column)
    values = column.combine_chunks()
    if pa.types.is_integer(values.type) and values.null_count:
        known = values.is_valid().to_numpy(zero_copy_only=False)
        numbers = values.fill_null(0).to_numpy().astype(object)
        numbers[~known] = None
        return list(numbers)
    plain: list[Any] = values.to_numpy(zero_copy_only=False).tolist()
    return plain
