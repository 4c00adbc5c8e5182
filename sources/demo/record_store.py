"""A store of records: one SQLite file, one indexed table per entity of a system's own catalogue.

Columns carry the names of the system's REST fields; instants are integer microseconds since 1970
in UTC, so that no precision of a replayed file is lost; lists and maps are JSON text. How a method
prints a column is the portal's business, not the store's.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

Kind = Literal["integer", "text", "instant", "flag", "decimal", "json"]
"""`flag` is 0 or 1; `decimal` is kept as text ("15000.00"); `instant` is microseconds UTC."""

RecordId = int | str | tuple[int | str, ...]
"""The value of an entity's key, a tuple where the key has several columns."""

UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entity:
    """One table of a store: its columns in order, the first `key_size` of which are the key.

    An index is of one column, or of several with a comma between them.
    """

    name: str
    columns: Mapping[str, Kind]
    indexes: Sequence[str] = ()
    key_size: int = 1

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return tuple(self.columns)[: self.key_size]

    @property
    def of_key(self) -> str:
        """SQL of the rows with a key; `?` are its values."""
        return " and ".join(f'"{name}" = ?' for name in self.key)


def catalogue(*entities: Entity) -> Mapping[str, Entity]:
    """Entities by their names."""
    return {entity.name: entity for entity in entities}


def key_values(record_id: RecordId) -> tuple[int | str, ...]:
    """The values of a key, one per column."""
    return record_id if isinstance(record_id, tuple) else (record_id,)


_SQLITE_TYPE: Mapping[Kind, str] = {
    "integer": "integer",
    "text": "text",
    "instant": "integer",
    "flag": "integer",
    "decimal": "text",
    "json": "text",
}


def to_microseconds(instant: dt.datetime) -> int:
    """Microseconds since 1970 in UTC of an aware instant, exactly (no floating point)."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no offset from UTC")
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)


def from_microseconds(microseconds: int) -> dt.datetime:
    """The aware UTC instant of a stored value."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


class RecordStore:
    """A portal's records in one SQLite file; a subclass names the entities.

    `meta` holds the portal's own facts: `clock` (microseconds, the virtual now), `utc_offset`
    (minutes), `title`, and what the generator planted (`planted`, JSON).
    """

    entities: ClassVar[Mapping[str, Entity]]
    belongings: ClassVar[Mapping[str, Sequence[str]]] = {}
    """By entity, statements that delete what goes with a record; `?` are the values of its key."""

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self.path = Path(path)
        if read_only:
            if not self.path.exists():
                raise FileNotFoundError(f"no portal store at {self.path}")
            self._connection = sqlite3.connect(
                f"file:{self.path}?mode=ro", uri=True, check_same_thread=False
            )
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = off")
        self._connection.row_factory = sqlite3.Row
        self._utc_offset: int | None = None
        self._kept: dict[Any, Any] = {}
        self._kept_at: tuple[int, int] | None = None

    def create(self) -> None:
        """Create the empty tables. The indexes come last, in `finish`."""
        with self._connection:
            self._connection.execute("create table meta (key text primary key, value text)")
            for entity in self.entities.values():
                columns = ", ".join(
                    f'"{name}" {_SQLITE_TYPE[kind]}' for name, kind in entity.columns.items()
                )
                key = ", ".join(f'"{name}"' for name in entity.key)
                self._connection.execute(
                    f'create table "{entity.name}" ({columns}, primary key ({key}))'
                )

    def finish(self) -> None:
        """Build the indexes and collect statistics, once all rows are in."""
        with self._connection:
            for entity in self.entities.values():
                for index in entity.indexes:
                    columns = ", ".join(f'"{column}"' for column in index.split(","))
                    self._connection.execute(
                        f'create index "{entity.name}_{index}" on "{entity.name}" ({columns})'
                    )
            self._connection.execute("analyze")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def insert(self, entity_name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add or replace rows given as maps of column to stored value; absent columns are null.

        Raises:
            KeyError: a row names a column that the entity does not have.
        """
        entity = self.entities[entity_name]
        names = list(entity.columns)

        def values() -> Iterator[tuple[Any, ...]]:
            for row in rows:
                unknown = row.keys() - entity.columns.keys()
                if unknown:
                    raise KeyError(f"{entity_name} has no column {sorted(unknown)}")
                yield tuple(_stored(row.get(name), entity.columns[name]) for name in names)

        self._insert(entity_name, names, values())

    def insert_tuples(self, entity_name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows of ready stored values in the order of the entity's columns (bulk path)."""
        self._insert(entity_name, list(self.entities[entity_name].columns), rows)

    def _insert(self, entity_name: str, names: list[str], rows: Iterable[Sequence[Any]]) -> None:
        columns = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        with self._connection:
            self._connection.executemany(
                f'insert or replace into "{entity_name}" ({columns}) values ({marks})', rows
            )

    def delete(self, entity_name: str, record_id: RecordId) -> None:
        """Remove a record and its `belongings`.

        Args:
            entity_name: whose table.
            record_id: its key, a tuple where that has several columns.
        """
        own = f'delete from "{entity_name}" where {self.entities[entity_name].of_key}'
        with self._connection:
            for sql in (own, *self.belongings.get(entity_name, ())):
                self._connection.execute(sql, key_values(record_id))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Rows of a select; for the portal and for tests."""
        return self._connection.execute(sql, parameters).fetchall()

    def set_meta(self, key: str, value: Any) -> None:
        """Keep one of the portal's own facts as JSON."""
        self._utc_offset = None
        with self._connection:
            self._connection.execute(
                "insert or replace into meta values (?, ?)",
                (key, json.dumps(value, ensure_ascii=False)),
            )

    def meta(self, key: str, default: Any = None) -> Any:
        """One of the portal's own facts."""
        rows = self.query("select value from meta where key = ?", (key,))
        return json.loads(rows[0]["value"]) if rows else default

    @property
    def kept(self) -> dict[Any, Any]:
        """What is worth keeping until a record changes, by this connection or another: counts."""
        version = self.query("pragma data_version")[0][0]
        if (self._connection.total_changes, version) != self._kept_at or len(self._kept) > 1_000:
            self._kept = {}
            self._kept_at = (self._connection.total_changes, version)
        return self._kept

    @property
    def utc_offset(self) -> int:
        """Minutes the portal's zone is ahead of UTC; read once, since every page prints by it."""
        if self._utc_offset is None:
            self._utc_offset = int(self.meta("utc_offset", 0))
        return self._utc_offset

    @property
    def clock(self) -> dt.datetime:
        """The portal's virtual now: it stands still until somebody moves it."""
        return from_microseconds(int(self.meta("clock", 0)))

    @clock.setter
    def clock(self, instant: dt.datetime) -> None:
        self.set_meta("clock", to_microseconds(instant))


def _stored(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "instant" and isinstance(value, dt.datetime):
        return to_microseconds(value)
    if kind == "json" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if kind == "flag":
        return int(value)
    return value
