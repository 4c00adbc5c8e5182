"""Compacting the warehouse: DuckDB reuses freed blocks, but never gives them back to the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.literals import literal
from sources.disk import log_of, sync
from sources.errors import CallfunnelError

GAIN_SHARE_MIN = 0.2
"""A copy that frees less is not worth writing the whole file."""
_ASIDE = "compacting"

_INVENTORY = """
    select 'table', schema_name, table_name, comment from duckdb_tables()
    union all
    select 'view', schema_name, view_name, sql from duckdb_views() where not internal
    union all
    select 'index', schema_name, index_name, sql from duckdb_indexes()
    union all
    select 'sequence', schema_name, sequence_name, sql from duckdb_sequences()
"""


@dataclass(frozen=True)
class Compaction:
    """What became of the warehouse file; sizes in bytes."""

    has_compacted: bool
    size_before: int
    size_after: int
    sentence: str


def compact(
    warehouse: Path,
    *,
    note: Path,
    temp_dir: Path,
    memory_limit: str,
    gain_share_min: float = GAIN_SHARE_MIN,
    free_bytes: int | None = None,
) -> Compaction:
    """Copy the warehouse into a new file and put that in its place; call under the lock.

    The copy is written aside, compared with the original (tables and their columns, rows, views,
    indexes, sequences) and renamed when whole: a kill at any point leaves one whole warehouse.

    Args:
        warehouse: the DuckDB file.
        note: holds the size of the last copy, whether or not it was put in place: what a copy can
            free at most is known from it. Free blocks alone don't tell: after one day of the demo
            company 6 % of the file were free, and a copy was smaller by 18 %.
        temp_dir: for DuckDB's spill files.
        memory_limit: DuckDB's, e.g. `3GB`.
        gain_share_min: the share of the file that must become free.
        free_bytes: of the disk; looked up by default.

    Raises:
        CallfunnelError: the copy could not be written or is not equal. The warehouse is as it was.
    """
    aside = warehouse.with_name(f"{warehouse.name}.{_ASIDE}")
    _remove(aside)
    if not warehouse.exists():
        return Compaction(False, 0, 0, "There is no warehouse yet.")
    used = _used_bytes(warehouse)
    size = warehouse.stat().st_size

    def left(sentence: str) -> Compaction:
        return Compaction(False, size, size, sentence)

    most = 1 - min(used, _noted(note)) / size
    if most < gain_share_min:
        return left(
            f"Not compacted: a copy would free {most:.0%} at most, from {gain_share_min:.0%} on "
            "it is made."
        )
    room = shutil.disk_usage(warehouse.parent).free if free_bytes is None else free_bytes
    # The copy, and as much again for what DuckDB spills while it writes large tables.
    wanted = 2 * used
    if room < wanted:
        return left(
            f"Not compacted: the copy wants {wanted / 1e9:,.1f} GB of disk, and "
            f"{room / 1e9:,.1f} GB are free."
        )
    try:
        _copy(warehouse, aside, temp_dir, memory_limit)
        _require_equal(warehouse, aside)
    except duckdb.Error as error:
        _remove(aside)
        raise CallfunnelError(
            f"{warehouse} could not be compacted and is as it was: {error}"
        ) from None
    except CallfunnelError:
        _remove(aside)
        raise
    copied = aside.stat().st_size
    _write(note, copied)
    if 1 - copied / size < gain_share_min:
        _remove(aside)
        return left(f"Not compacted: a copy of it would free {1 - copied / size:.0%}.")
    _put_in_place(aside, warehouse)
    return Compaction(
        True, size, copied, f"Compacted: {size / 1e9:,.2f} GB became {copied / 1e9:,.2f} GB."
    )


def _used_bytes(warehouse: Path) -> int:
    """Blocks in use, once the log is part of the file."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("checkpoint")
        row = connection.execute(
            "select block_size * used_blocks from pragma_database_size()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _noted(note: Path) -> int:
    """The size of the last copy; 0 where none is known, which any copy may come down to."""
    try:
        return int(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def _write(note: Path, size: int) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    new = note.with_name(f"{note.name}.new")
    new.write_text(f"{size}\n", encoding="utf-8")
    new.replace(note)


def _copy(warehouse: Path, aside: Path, temp_dir: Path, memory_limit: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = {literal(memory_limit)}")
        connection.execute(f"set temp_directory = {literal(temp_dir)}")
        connection.execute("set TimeZone = 'UTC'")
        # Views name the tables they read with the database, and that is called like the file.
        connection.execute(f"attach {literal(warehouse)} as {_name(warehouse)} (read_only)")
        connection.execute(f"attach {literal(aside)} as {_ASIDE}")
        connection.execute(f"copy from database {_name(warehouse)} to {_ASIDE}")
        connection.execute(f"detach {_ASIDE}")
    aside.chmod(warehouse.stat().st_mode & 0o777)


def _require_equal(warehouse: Path, aside: Path) -> None:
    """Compare what both files hold, each attached under the name that its views know.

    Raises:
        CallfunnelError: they differ.
    """
    before, after = (_contents(path, _name(warehouse)) for path in (warehouse, aside))
    differing = [
        " ".join(name)
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if differing:
        raise CallfunnelError(
            f"The compacted copy of {warehouse} differs in {', '.join(differing[:5])}"
            f"{' …' if len(differing) > 5 else ''}: it was removed, the warehouse is as it was."
        )


def _contents(path: Path, name: str) -> dict[tuple[str, str, str], object]:
    """Everything in the file by kind, schema and name; views are bound, tables counted."""
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(path)} as {name} (read_only)")
        connection.execute(f"use {name}")
        found: dict[tuple[str, str, str], object] = {}
        for kind, schema, thing, text in connection.execute(_INVENTORY).fetchall():
            found[kind, schema, thing] = text
            quoted = f'"{schema}"."{thing}"'
            if kind == "view":
                connection.execute(f"describe {quoted}")
            elif kind == "table":
                columns = connection.execute(f"describe {quoted}").fetchall()
                rows = connection.execute(f"select count(*) from {quoted}").fetchone()
                found[kind, schema, thing] = (text, columns, rows)
    return found


def _put_in_place(aside: Path, warehouse: Path) -> None:
    # A log of the old file would be replayed into the new one.
    if log_of(warehouse).exists():
        _remove(aside)
        raise CallfunnelError(
            f"{warehouse} was written while it was compacted: somebody opens it without the "
            "company's lock. The warehouse is as they left it."
        )
    sync(aside)
    aside.replace(warehouse)
    sync(warehouse.parent)


def _remove(aside: Path) -> None:
    for path in (aside, log_of(aside)):
        path.unlink(missing_ok=True)


def _name(warehouse: Path) -> str:
    return f'"{warehouse.stem}"'
