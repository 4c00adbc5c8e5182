"""Files for BI: parquet, one DuckDB file and a manifest per generation, swapped by rename.

`published/gen-<n>/` is written aside and renamed when complete; `published/current` is a symlink
replaced in one rename. A reader with an old file open goes on undisturbed; a killed publisher
leaves the old generation.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.literals import literal
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.privacy import define_functions
from orchestration.publishing.tables import PublishedTable
from sources.disk import sync

STORAGE_VERSION = "v1.0.0"
"""Readable by every DuckDB since 1.0: BI tools lag behind."""

_GENERATION = re.compile(r"^gen-(\d+)$")


@dataclass(frozen=True)
class Publication:
    """What was published: the folder, and rows per table."""

    generation: int
    folder: Path
    as_of_at: dt.datetime | None
    rows: dict[str, int]
    files_size_bytes: int


def publish_files(
    warehouse: Path,
    published_dir: Path,
    company: str,
    tables: Iterable[PublishedTable],
    *,
    hash_key: bytes,
    keep_generations: int,
    facts: dict[str, Any],
    memory_limit: str,
    temp_dir: Path,
    contacts: Iterable[PublishedTable] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Write a new generation and make it current.

    Args:
        warehouse: the built DuckDB file; opened read-only.
        published_dir: `data/<company>/published`.
        company: part of the DuckDB file's name, `marts_<company>.duckdb`.
        tables: from `published_tables`.
        hash_key: of `keyed_hash`.
        keep_generations: how many stay, the new one included.
        facts: further entries of manifest.json (git revision, checks, build).
        memory_limit: DuckDB's.
        temp_dir: where DuckDB puts what does not fit into it.
        contacts: from `registers`, in the folder `contacts` as parquet only.
        progress: told after each table.

    Returns:
        The generation, its folder and the rows per table. Every table carries `generation` and
        `as_of_at` (UTC).

    Raises:
        PublishingFailed: the disk is full or refuses; nothing is left of the new generation.
    """
    published_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    generation = max(_generations(published_dir), default=0) + 1
    aside = published_dir / f".gen-{generation}.part"
    folder = published_dir / f"gen-{generation}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o750)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"set memory_limit = {literal(memory_limit)}")
            connection.execute(f"set temp_directory = {literal(temp_dir)}")
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach {literal(warehouse)} as warehouse (read_only)")
            define_functions(connection, hash_key)
            as_of_at = _as_of(connection)
            stamps = f"{generation}::integer as generation, ?::timestamp as as_of_at"
            described = _write_tables(
                connection, aside / f"marts_{company}.duckdb", tables, stamps, as_of_at, progress
            )
            _write_contacts(connection, aside / "contacts", contacts, stamps, as_of_at)
        manifest = {
            "generation": generation,
            "company": company,
            "as_of_at": None if as_of_at is None else f"{as_of_at.isoformat()}Z",
            "tables": described,
            **facts,
        }
        (aside / "manifest.json").write_text(
            json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        files = [path for path in aside.rglob("*") if path.is_file()]
        for path in files:
            path.chmod(0o640)
            sync(path)
        for path in {path.parent for path in files}:
            sync(path)
        size = sum(path.stat().st_size for path in files)
        aside.rename(folder)
        _make_current(published_dir, folder)
    except (OSError, duckdb.IOException, duckdb.TransactionException) as problem:
        _remove(published_dir, aside, folder)
        raise PublishingFailed(
            f"The published files can't be written ({problem}). The last publication stays; a new "
            f"one needs as much room beside it in {published_dir}. Make room and materialise "
            "published_files again."
        ) from None
    except BaseException:
        _remove(published_dir, aside, folder)
        raise
    _forget_old(published_dir, keep_generations)
    return Publication(
        generation, folder, as_of_at, {one["name"]: one["rows"] for one in described}, size
    )


def _remove(published_dir: Path, *folders: Path) -> None:
    """All but what readers are led to already."""
    current = (published_dir / "current").resolve()
    for folder in folders:
        if folder.resolve() != current:
            shutil.rmtree(folder, ignore_errors=True)


def _write_tables(
    connection: duckdb.DuckDBPyConnection,
    database: Path,
    tables: Iterable[PublishedTable],
    stamps: str,
    as_of_at: dt.datetime | None,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The DuckDB file and a parquet file per table; returns what the manifest says of them."""
    described = []
    connection.execute(
        f"attach {literal(database)} as published (storage_version '{STORAGE_VERSION}')"
    )
    connection.execute("create schema published.marts")
    for table in tables:
        connection.execute(
            f'create table published.marts."{table.name}" as '
            f'select {table.selected}, {stamps} from warehouse.{table.schema}."{table.name}"',
            [as_of_at],
        )
        path = database.parent / f"{table.name}.parquet"
        connection.execute(
            f'copy published.marts."{table.name}" to {literal(path)} '
            "(format parquet, compression zstd)"
        )
        count = connection.execute(
            f'select count(*) from published.marts."{table.name}"'
        ).fetchone()
        rows = int(count[0]) if count else 0
        described.append(
            {
                "name": table.name,
                "rows": rows,
                "schema_hash": _schema_hash(connection, table.name),
                "columns_left_out": list(table.left_out),
            }
        )
        progress(f"published {table.name}: {rows:,} rows")
    connection.execute("detach published")
    return described


def _schema_hash(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Changes when a column comes, goes, moves, or takes another name or type."""
    columns = connection.execute(f'describe published.marts."{table}"').fetchall()
    told = ",".join(f"{name} {data_type}" for name, data_type, *_ in columns)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _write_contacts(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tables: Iterable[PublishedTable],
    stamps: str,
    as_of_at: dt.datetime | None,
) -> None:
    for table in tables:
        folder.mkdir(exist_ok=True, mode=0o750)
        connection.execute(
            f'copy (select {table.selected}, {stamps} from warehouse.{table.schema}."{table.name}")'
            f" to {literal(folder / f'{table.name}.parquet')} (format parquet, compression zstd)",
            [as_of_at],
        )


def _as_of(connection: duckdb.DuckDBPyConnection) -> dt.datetime | None:
    row = connection.execute(
        "select max(report_as_of_at) from warehouse.intermediate.int_connections"
    ).fetchone()
    return row[0] if row else None


def _generations(published_dir: Path) -> list[int]:
    matches = (_GENERATION.match(path.name) for path in published_dir.iterdir())
    return [int(match.group(1)) for match in matches if match]


def _make_current(published_dir: Path, folder: Path) -> None:
    link = published_dir / ".current.part"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name, target_is_directory=True)
    link.replace(published_dir / "current")
    sync(published_dir)


def _forget_old(published_dir: Path, keep_generations: int) -> None:
    current = (published_dir / "current").resolve().name
    kept = sorted(_generations(published_dir))[-keep_generations:]
    for generation in set(_generations(published_dir)) - set(kept):
        if f"gen-{generation}" != current:
            shutil.rmtree(published_dir / f"gen-{generation}", ignore_errors=True)
    for part in published_dir.glob(".gen-*.part"):
        shutil.rmtree(part, ignore_errors=True)
