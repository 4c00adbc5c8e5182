"""The archive: what no system gives back, as parquet beside the warehouse, and the way back.

`<folder>/<system>/<table>/<connection>/<cut>.parquet`, written after each load, holds the rows that
are new or changed since the file before. Each file tells in its metadata how its table is restored,
so the archive of an older release stays readable. Rows may stand in several files; the one seen
last wins.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sources.connection import raw_schema
from sources.disk import log_of, sync
from sources.errors import CallfunnelError

CLOCK_MARGIN = dt.timedelta(minutes=10)
"""By how much clocks of one system may differ, also from one load to the next."""
FILES_BEFORE_MERGE = 40
FILES_LEFT_APART = 20
"""More files than the first of these: all but so many of the newest become one."""
ROWS_PER_BATCH = 100_000

FILE_MODE = 0o640
FOLDER_MODE = 0o750
_METADATA = "callfunnel"

logger = logging.getLogger("callfunnel.archive")


@dataclass(frozen=True)
class ArchivedTable:
    """A raw table that is archived.

    Attributes:
        table: the raw table, with `source_key`.
        key: its key beside `source_key`.
        seen: the instant that moves when a row is new or changed.
        is_loaded_by_dlt: restored through dlt, so that its loads can merge into it; the tables
            that this project writes by SQL are restored by SQL.
    """

    table: str
    key: tuple[str, ...]
    seen: str = "received_at"
    is_loaded_by_dlt: bool = True


def column_types(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """A table's columns in order, with DuckDB's types; empty where there is no such table."""
    return dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where database_name = "
            "current_database() and schema_name = ? and table_name = ? order by column_index",
            [schema, table],
        ).fetchall()
    )


def write_archive(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    schema: str,
    source_key: str,
    cut_at: dt.datetime,
    tables: Iterable[ArchivedTable],
    *,
    system: str | None = None,
) -> dict[str, int]:
    """Archive the rows of one connection that the archive does not hold yet.

    What it holds is read off its files: a load that died before this step is caught up by the
    next. A file appears whole or not at all. Call it after the commit: what is rolled back must
    not be archived.

    Args:
        connection: the warehouse.
        folder: the company's archive.
        schema: the raw schema.
        source_key: `<system>:<connection>`, whose rows.
        cut_at: the system's clock at the start of this load; names the files.
        tables: what to archive; a table that raw does not have is passed over.
        system: the folder, where the schema is not that of the connection's own system.

    Returns:
        The number of rows written by table, where there were any.
    """
    own_system, _, connection_name = source_key.partition(":")
    if system is not None:
        connection_name = f"{own_system}.{connection_name}"
    written: dict[str, int] = {}
    for table in tables:
        columns = column_types(connection, schema, table.table)
        if not columns:
            continue
        place = folder / (system or own_system) / table.table / connection_name
        _make_folder(folder, place)
        for leftover in place.glob(".*.tmp"):
            leftover.unlink()
        rows = _write_new(connection, place, schema, source_key, cut_at, table, tuple(columns))
        if rows:
            written[table.table] = rows
            _merge_older(connection, place, table)
    if written:
        logger.info("%s: %s rows archived", source_key, f"{sum(written.values()):,}")
    return written


def verify(folder: Path) -> list[str]:
    """Read every file of an archive to its end.

    Returns:
        A sentence about each file that can't be read; empty if all can.
    """
    return [sentence for file in _files(folder) if (sentence := _problem(file))]


def restore(
    folder: Path,
    warehouse: Path,
    pipelines_dir: Path,
    *,
    force: bool = False,
    memory_limit: str = "3GB",
) -> dict[str, int]:
    """Build a new warehouse that holds what the archive holds, ready for the next load.

    Built aside and put in its place when it is complete. The cursors of the lost warehouse go:
    with them the next load would read only what is new since then (dlt drops them by itself only
    while its dataset is missing, which it no longer is). The next load reads everything anew and
    merges it over the restored rows. Call it under the warehouse's lock.

    Args:
        folder: the company's archive.
        warehouse: the file to create.
        pipelines_dir: dlt's working folders, one per connection of this warehouse.
        force: an existing warehouse is set aside under another name, never removed.
        memory_limit: DuckDB's, e.g. `3GB`.

    Returns:
        The number of restored rows by `<schema>.<table>`.

    Raises:
        CallfunnelError: there is a warehouse already, nothing is archived, or a file is broken.
            Nothing was changed then.
    """
    if warehouse.exists() and not force:
        raise CallfunnelError(
            f"{warehouse} exists already, and restoring would replace it: if it is broken, "
            "move it away or restore with --force, which sets it aside."
        )
    places = _places(folder)
    if not places:
        raise CallfunnelError(
            f"Nothing is archived in {folder}: copy the archive there from your backup, or run "
            "make run, which reads what the systems still have."
        )
    logger.info("reading the archive in %s", folder)
    broken = verify(folder)
    if broken:
        raise CallfunnelError(
            " ".join(broken)
            + " Nothing was restored: copy the file anew from your backup, or rename it to "
            "<name>.broken to restore without its rows."
        )
    counts: dict[str, int] = {}
    aside = warehouse.with_name(f"{warehouse.name}.restoring")
    warehouse.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    for leftover in (aside, log_of(aside)):
        leftover.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=warehouse.parent) as scratch:
        _restore_loaded(places, aside, Path(scratch), memory_limit, counts)
        _restore_written(places, aside, Path(scratch), memory_limit, counts)
    aside.chmod(FILE_MODE)
    sync(aside)
    _drop_cursors(pipelines_dir)
    _set_aside(warehouse)
    aside.replace(warehouse)
    sync(warehouse.parent)
    return counts


# Writing


def _write_new(
    connection: duckdb.DuckDBPyConnection,
    place: Path,
    schema: str,
    source_key: str,
    cut_at: dt.datetime,
    table: ArchivedTable,
    columns: Sequence[str],
) -> int:
    raw = f'"{schema}"."{table.table}"'
    # Load ids of dlt mean nothing in another warehouse.
    kept = [name for name in columns if not name.startswith("_dlt")]
    condition = f"records.source_key = {_text(source_key)}"
    files = _readable(place)
    if files:
        # The margin (see CLOCK_MARGIN) reaches into what is archived: those rows are left out.
        archived = _read(files)
        same = " and ".join(
            f'archived."{name}" = records."{name}"' for name in (*table.key, table.seen)
        )
        known = connection.execute(f'select max("{table.seen}")::varchar from {archived}')
        row = known.fetchone()
        since = (
            f"(least({_text(row[0] if row else '')}::timestamptz, {_text(cut_at.isoformat())}"
            f"::timestamptz) - interval '{CLOCK_MARGIN.total_seconds():.0f} seconds')"
        )
        condition += (
            f' and records."{table.seen}" >= {since} and not exists (select 1 from {archived} '
            f'as archived where archived."{table.seen}" >= {since} and {same})'
        )
    query = f"select {', '.join(_name(name) for name in kept)} from {raw} as records"
    name = cut_at.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    description = {**asdict(table), "required": _required(connection, schema, table.table, kept)}
    return _copy(connection, f"{query} where {condition}", place, name, description)


def _merge_older(connection: duckdb.DuckDBPyConnection, place: Path, table: ArchivedTable) -> None:
    """Merge the older files into one. Killed before they are gone, both hold the same rows."""
    files = sorted(place.glob("*.parquet"))
    if len(files) <= FILES_BEFORE_MERGE:
        return
    older = files[:-FILES_LEFT_APART]
    name = f"{older[-1].name.partition('.')[0]}.merged"
    description = _description(older[-1]) or {**asdict(table), "required": []}
    rows = _copy(connection, _newest_rows(older, table), place, name, description)
    for file in older:
        file.unlink()
    sync(place)
    logger.info("%s: %s files merged, %s rows", table.table, len(older), f"{rows:,}")


def _copy(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    place: Path,
    name: str,
    description: dict[str, Any],
) -> int:
    """Write a query's rows to a new file of this name; no rows, no file."""
    part = place / f".{name}.tmp"
    row = connection.execute(
        f"copy ({query}) to {_text(str(part))} (format parquet, compression zstd, "
        f"kv_metadata {{{_METADATA}: {_text(json.dumps(description))}}})"
    ).fetchone()
    rows = int(row[0]) if row else 0
    if not rows:
        part.unlink(missing_ok=True)
        return 0
    part.chmod(FILE_MODE)
    sync(part)
    # Two loads may have the same cut to the second: never over an archived file.
    part.replace(_free_name(place / f"{name}.parquet"))
    sync(place)
    return rows


def _readable(place: Path) -> list[Path]:
    """The files of a table. If one is broken, none: all rows are then archived anew."""
    files = sorted(place.glob("*.parquet"))
    for file in files:
        try:
            pq.read_metadata(file)
        except (OSError, pa.ArrowException):
            aside = _free_name(file.with_name(f"{file.name}.broken"))
            file.replace(aside)
            logger.warning(
                "%s can't be read and was renamed to %s: its table is archived anew as a whole.",
                file,
                aside.name,
            )
            return []
    return files


def _required(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, columns: Sequence[str]
) -> list[str]:
    found = connection.execute(
        "select column_name from duckdb_columns() where database_name = current_database() "
        "and schema_name = ? and table_name = ? and not is_nullable",
        [schema, table],
    ).fetchall()
    return [name for (name,) in found if name in columns]


# Restoring


@dataclass(frozen=True)
class _Place:
    """The files of one table of one connection."""

    system: str
    connection: str
    table: ArchivedTable
    required: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return f"{raw_schema(self.system)}.{self.table.table}"


def _places(folder: Path) -> list[_Place]:
    by_place: dict[Path, list[Path]] = {}
    for file in _files(folder):
        by_place.setdefault(file.parent, []).append(file)
    places = []
    for place, files in by_place.items():
        system, table_name, connection = place.relative_to(folder).parts
        described = next((found for file in reversed(files) if (found := _description(file))), None)
        if described is None:
            # All of its files are broken: verifying says which.
            described = {"key": (), "required": ()}
        table = ArchivedTable(
            table_name,
            tuple(described["key"]),
            described.get("seen", ""),
            described.get("is_loaded_by_dlt", True),
        )
        required = tuple(described["required"])
        places.append(_Place(system, connection, table, required, tuple(files)))
    return places


def _restore_loaded(
    places: Sequence[_Place],
    warehouse: Path,
    scratch: Path,
    memory_limit: str,
    counts: dict[str, int],
) -> None:
    """Tables that loads merge into: by dlt, each connection through its own pipeline."""
    import dlt

    from sources.pipelines import make_pipeline

    by_connection: dict[tuple[str, str], list[_Place]] = {}
    for place in places:
        if place.table.is_loaded_by_dlt:
            by_connection.setdefault((place.system, place.connection), []).append(place)
    for (system, connection_name), tables in by_connection.items():
        # A source of the system's name: the next load goes on with the schema of this one.
        @dlt.source(name=system, max_table_nesting=0)
        def archived(tables: Sequence[_Place] = tuple(tables)) -> Any:
            for place in tables:
                yield dlt.resource(
                    _batches(place, scratch, memory_limit, counts),
                    name=place.table.table,
                    primary_key=["source_key", *place.table.key],
                    write_disposition={"disposition": "merge", "strategy": "upsert"},
                    columns={name: {"data_type": "json"} for name in _json_columns(place)},
                    file_format="parquet",
                )

        logger.info("%s:%s: restoring %s tables", system, connection_name, len(tables))
        # Working folders of its own: the real ones may hold packages of the lost warehouse.
        make_pipeline(
            system, connection_name, warehouse=warehouse, pipelines_dir=scratch / "dlt"
        ).run(archived())


def _batches(
    place: _Place, scratch: Path, memory_limit: str, counts: dict[str, int]
) -> Iterator[pa.Table]:
    with _reader(":memory:", scratch, memory_limit) as connection:
        text = ", ".join(
            f"{_name(name)}::varchar as {_name(name)}" for name in _json_columns(place)
        )
        query = f"select * {f'replace ({text})' if text else ''} from "
        query += f"({_newest_rows(place.files, place.table)})"
        for batch in connection.execute(query).to_arrow_reader(ROWS_PER_BATCH):
            rows = pa.Table.from_batches([batch])
            schema = pa.schema(
                [field.with_nullable(field.name not in place.required) for field in rows.schema]
            )
            counts[place.name] = counts.get(place.name, 0) + len(rows)
            yield rows.cast(schema)
        logger.info("%s: %s rows read", place.name, f"{counts.get(place.name, 0):,}")


def _restore_written(
    places: Sequence[_Place],
    warehouse: Path,
    scratch: Path,
    memory_limit: str,
    counts: dict[str, int],
) -> None:
    """Tables that this project writes itself: by SQL, all connections together."""
    by_table: dict[str, list[_Place]] = {}
    for place in places:
        if not place.table.is_loaded_by_dlt:
            by_table.setdefault(place.name, []).append(place)
    with _reader(str(warehouse), scratch, memory_limit) as connection:
        for name, tables in by_table.items():
            files = [file for place in tables for file in place.files]
            schema, _, table = name.partition(".")
            connection.execute(f"create schema if not exists {_name(schema)}")
            row = connection.execute(
                f"create table {_name(schema)}.{_name(table)} as "
                f"{_newest_rows(files, tables[0].table)}"
            ).fetchone()
            for column in sorted({column for place in tables for column in place.required}):
                connection.execute(f"alter table {name} alter column {_name(column)} set not null")
            counts[name] = int(row[0]) if row else 0
            logger.info("%s: %s rows restored", name, f"{counts[name]:,}")


@contextlib.contextmanager
def _reader(database: str, scratch: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(database) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        connection.execute(f"set memory_limit = {_text(memory_limit)}")
        connection.execute(f"set temp_directory = {_text(str(scratch / 'spill'))}")
        yield connection


def _drop_cursors(pipelines_dir: Path) -> None:
    for working in pipelines_dir.glob("*__*"):
        if working.is_dir():
            logger.info("dropping the cursors of %s", working.name)
            shutil.rmtree(working)


def _set_aside(warehouse: Path) -> None:
    """Rename the old warehouse. Its log too: DuckDB would replay it into the new one."""
    kept = _free_name(warehouse.with_name(f"{warehouse.name}.replaced"))
    if warehouse.exists():
        warehouse.replace(kept)
        logger.warning("the warehouse that stood here is now %s", kept)
    if log_of(warehouse).exists():
        log_of(warehouse).replace(log_of(kept))


# Files


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*/*.parquet"))


def _problem(file: Path) -> str | None:
    try:
        # To the end, not only the footer: a damaged page shows when it is unpacked.
        with pq.ParquetFile(file) as opened:
            for _ in opened.iter_batches(ROWS_PER_BATCH):
                pass
        is_ours = _description(file) is not None
    except (OSError, pa.ArrowException) as error:
        return f"{file} can't be read ({str(error).splitlines()[0].rstrip('.')})."
    return None if is_ours else f"{file} was not written by callfunnel."


def _description(file: Path) -> dict[str, Any] | None:
    try:
        metadata = pq.read_metadata(file).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    found = metadata.get(_METADATA.encode())
    return json.loads(found) if found else None


def _json_columns(place: _Place) -> list[str]:
    with duckdb.connect() as connection:
        described = connection.execute(f"describe select * from {_read(place.files)}").fetchall()
    return [name for name, kind, *_ in described if kind == "JSON"]


def _newest_rows(files: Sequence[Path], table: ArchivedTable) -> str:
    """Each key once, as it was seen last."""
    key = ", ".join(_name(name) for name in ("source_key", *table.key))
    return (
        f"select * from {_read(files)} "
        f"qualify row_number() over (partition by {key} order by {_name(table.seen)} desc) = 1"
    )


def _read(files: Sequence[Path]) -> str:
    # By name: a later release may have added a column.
    listed = ", ".join(_text(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def _free_name(file: Path) -> Path:
    """This name or, if it is taken, the same with a number before the last suffix."""
    found, number = file, 2
    while found.exists():
        found = file.with_name(f"{file.stem}.{number}{file.suffix}")
        number += 1
    return found


def _make_folder(root: Path, place: Path) -> None:
    missing = [path for path in (place, *place.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        if path.is_relative_to(root):
            path.chmod(FOLDER_MODE)


def _name(name: str) -> str:
    return f'"{name}"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
