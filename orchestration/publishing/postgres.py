"""The published generation in PostgreSQL: built aside, then swapped in by renaming its schema.

Readers see the old generation or the new one in all tables alike. What they read is the generation
of the published files: one publication, two doors.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg
import tenacity
from psycopg import errors, sql

from orchestration.literals import literal
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.postgres_tables import load_table
from orchestration.publishing.privacy import define_functions
from orchestration.publishing.tables import PublishedTable

READERS = "bi_ro"
"""The role that may read the marts; people and tools are made members of it."""
CALLERS = "bi_sales"
"""The role that may read the registers with numbers to dial."""
_DOORS: Mapping[str, str] = {"marts": READERS, "marts_contacts": CALLERS}
PATIENCE_SECONDS = 600.0
"""So long the swap is tried while somebody reads the old tables."""
_BOUND_MS = 300
"""The longest that readers wait behind a swap that is not through. `lock_timeout` alone counts
anew for each table: with six busy ones it let readers wait 0.67 s."""
_TURN_SECONDS = 60.0
"""A killed publisher's connection may outlive it by a statement."""
_CONNECT_SECONDS = 10
_KEEPALIVE = (30, 10, 3)
"""Seconds of silence, between questions, and how many of these: a server that is gone is noticed
after a minute, and so is a publisher, which would keep others from their turn."""
_UNREADABLE = (
    "The address in CALLFUNNEL_PUBLISH_POSTGRES can't be read. Write "
    "postgresql://user:password@host:5432/database; in user and password the characters % @ : / # "
    "are written %25 %40 %3A %2F %23."
)
_OURS = re.compile(r"^callfunnel (?P<company>\w+): generation (?P<generation>\d+),")


@dataclass(frozen=True)
class Door:
    """One schema that people read, and who may.

    Attributes:
        schema: its name; the next one is built as `<schema>_next`.
        role: may select, nobody else.
        tables: what stands in it; none: the schema goes.
        relations: where DuckDB finds the rows, by table.
    """

    schema: str
    role: str
    tables: Sequence[PublishedTable]
    relations: Mapping[str, str]

    @property
    def next_schema(self) -> str:
        """Where it is built."""
        return f"{self.schema}_next"


@dataclass(frozen=True)
class Contacts:
    """Registers with numbers, which the published files don't hold: from the same build."""

    warehouse: Path
    tables: Sequence[PublishedTable]
    hash_key: bytes


@dataclass(frozen=True)
class PublishedGeneration:
    """What the files say of themselves."""

    company: str
    generation: int
    as_of_at: str | None
    build_number: int | None
    database: Path
    rows: Mapping[str, int]


@dataclass(frozen=True)
class PostgresPublication:
    """What was published, and what an administrator should know of it.

    Attributes:
        rows: by `schema.table`, as counted in PostgreSQL.
        kept: tables of old generations that a view still reads, to the views.
        warnings: sentences.
        tries: of the swap.
    """

    generation: int
    rows: Mapping[str, int]
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    tries: int = 1


def read_generation(published_dir: Path) -> PublishedGeneration:
    """The current generation of the published files.

    Raises:
        PublishingFailed: there is none yet.
    """
    folder = (published_dir / "current").resolve()
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PublishingFailed(
            "There are no published files yet: materialise published_files first."
        ) from None
    return PublishedGeneration(
        manifest["company"],
        manifest["generation"],
        manifest["as_of_at"],
        manifest.get("build_number"),
        folder / f"marts_{manifest['company']}.duckdb",
        {table["name"]: table["rows"] for table in manifest["tables"]},
    )


def publish_postgres(
    address: str,
    generation: PublishedGeneration,
    tables: Iterable[PublishedTable],
    *,
    contacts: Contacts | None = None,
    memory_limit: str,
    temp_dir: Path,
    patience_seconds: float = PATIENCE_SECONDS,
    progress: Callable[[str], None] = lambda _: None,
) -> PostgresPublication:
    """Put a generation of the published files into PostgreSQL and make it the one that is read.

    Args:
        address: `postgresql://user:password@host/database`; the user owns the schemas.
        generation: from `read_generation`.
        tables: their descriptions and keys; those that the files don't hold are left out.
        contacts: what goes to the schema `marts_contacts`; None: that schema goes.
        memory_limit: DuckDB's.
        temp_dir: where DuckDB puts what does not fit into it.
        patience_seconds: how long long readers are waited for.
        progress: told after each table.

    Raises:
        PublishingFailed: the last publication stays; the message says why and what to do.
    """
    held = [table for table in tables if table.name in generation.rows]
    doors = (
        Door(
            "marts",
            READERS,
            held,
            {table.name: f'published.marts."{table.name}"' for table in held},
        ),
        Door(
            "marts_contacts",
            CALLERS,
            contacts.tables if contacts else (),
            {
                table.name: f"(select {table.selected}, {generation.generation}::integer as "
                f"generation, {_instant(generation.as_of_at)} as as_of_at "
                f'from warehouse.{table.schema}."{table.name}")'
                for table in (contacts.tables if contacts else ())
            },
        ),
    )
    with duckdb.connect() as source, _connected(address) as postgres:
        source.execute(f"set memory_limit = {literal(memory_limit)}")
        source.execute(f"set temp_directory = {literal(temp_dir)}")
        source.execute("set TimeZone = 'UTC'")
        source.execute(f"attach {literal(generation.database)} as published (read_only)")
        if contacts:
            source.execute(f"attach {literal(contacts.warehouse)} as warehouse (read_only)")
            define_functions(source, contacts.hash_key)
        _take_turn(postgres)
        _require_ours(postgres, doors, generation.company)
        try:
            rows, warnings = _build(postgres, source, doors, generation, progress)
            tries = _swap(postgres, doors, patience_seconds)
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                _drop_next(postgres, doors)
            raise
        try:
            kept = _forget_old(postgres, doors)
        except psycopg.Error as problem:
            kept = {}
            warnings.append(
                f"Tables of old generations are left for the next publication ({_said(problem)})."
            )
    return PostgresPublication(generation.generation, rows, kept, warnings, tries)


@dataclass(frozen=True)
class Standing:
    """What the publishing user finds in the database, and may do there."""

    user: str
    may_create: bool
    may_create_roles: bool
    missing_roles: Sequence[str]
    published: str


def look_at_database(address: str, company: str) -> Standing:
    """Look without writing.

    Raises:
        PublishingFailed: it can't be reached, or holds somebody else's schemas.
    """
    doors = tuple(Door(schema, role, (), {}) for schema, role in _DOORS.items())
    with _connected(address) as postgres:
        _require_ours(postgres, doors, company)
        row = postgres.execute(
            "select current_user, has_database_privilege(current_database(), 'create'), "
            "rolcreaterole or rolsuper from pg_roles where rolname = current_user"
        ).fetchone()
        user, may_create, may_create_roles = row or ("", False, False)
        missing = [role for role in _DOORS.values() if not _has_role(postgres, role)]
        ours = _OURS.match(_comment(postgres, "marts"))
    published = f"generation {ours['generation']} is published" if ours else "nothing published yet"
    return Standing(user, may_create, may_create_roles, missing, published)


def _instant(told: str | None) -> str:
    return "null::timestamp" if told is None else f"timestamp '{told.removesuffix('Z')}'"


def place_of(address: str) -> str:
    """Host, port and database of an address, without user and password.

    Raises:
        PublishingFailed: it can't be read, or a password may have slipped into these; nothing of
            it is in the message.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(_conninfo(address))
    except psycopg.ProgrammingError:
        raise PublishingFailed(_UNREADABLE) from None
    host, port, database = (
        str(parts.get(name) or default)
        for name, default in (("host", "localhost"), ("port", "5432"), ("dbname", ""))
    )
    if "@" in host or not re.fullmatch(r"[\d,]+", port) or re.search("[@:/]", database):
        raise PublishingFailed(_UNREADABLE)
    return f"{host}:{port}/{database}"


@contextlib.contextmanager
def connect(address: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode, times in UTC."""
    idle, interval, count = _KEEPALIVE
    with psycopg.connect(
        _conninfo(address),
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        application_name="callfunnel",
        client_encoding="utf8",
        keepalives_idle=idle,
        keepalives_interval=interval,
        keepalives_count=count,
        options=(
            f"-c timezone=UTC -c tcp_keepalives_idle={idle} "
            f"-c tcp_keepalives_interval={interval} -c tcp_keepalives_count={count}"
        ),
    ) as postgres:
        yield postgres


@contextlib.contextmanager
def _connected(address: str) -> Iterator[psycopg.Connection]:
    """The same; what PostgreSQL says of a failure becomes a sentence for people."""
    place = place_of(address)
    try:
        with connect(address) as postgres:
            # The last commit carries them all; a crash before it leaves nothing to be read.
            postgres.execute("set synchronous_commit = off")
            yield postgres
    except errors.DiskFull as problem:
        raise PublishingFailed(
            f"PostgreSQL {place} has no room left ({_said(problem)}). The last publication stays; "
            "a new one needs as much room beside it. Make room and materialise "
            "published_postgres again."
        ) from None
    except errors.InsufficientPrivilege as problem:
        raise PublishingFailed(
            f"PostgreSQL {place} does not let the publishing user do this ({_said(problem)}). Let "
            "its administrator grant CREATE on the database; the schemas marts and marts_contacts "
            "must belong to the user."
        ) from None
    except psycopg.OperationalError as problem:
        raise PublishingFailed(
            f"PostgreSQL {place} can't be reached or broke off ({_said(problem)}). The last "
            "publication stays; materialise published_postgres again."
        ) from None
    except psycopg.Error as problem:
        raise PublishingFailed(
            f"PostgreSQL {place} could not take the tables ({_said(problem)}). The last "
            "publication stays; look at the server's log and materialise published_postgres again."
        ) from None


def _said(problem: psycopg.Error) -> str:
    told = problem.diag.message_primary or str(problem)
    return told.strip().splitlines()[-1] if told.strip() else type(problem).__name__


def _conninfo(address: str) -> str:
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", address.strip())


def _take_turn(postgres: psycopg.Connection) -> None:
    """One publisher per database at a time; the lock goes with the connection."""
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(PublishingFailed),
        stop=tenacity.stop_after_delay(_TURN_SECONDS),
        wait=tenacity.wait_fixed(1),
        reraise=True,
    ):
        with attempt:
            row = postgres.execute(
                "select pg_try_advisory_lock(hashtextextended('callfunnel publishing', 0))"
            ).fetchone()
            if not row or not row[0]:
                raise PublishingFailed(
                    "Another publisher is writing to this database. Wait until it is through; "
                    "two companies need a database each."
                )


def _require_ours(postgres: psycopg.Connection, doors: Sequence[Door], company: str) -> None:
    for schema in (name for door in doors for name in (door.schema, door.next_schema)):
        if not _exists(postgres, schema):
            continue
        ours = _OURS.match(_comment(postgres, schema))
        if ours is None or ours["company"] != company:
            whose = f"company {ours['company']}" if ours else "somebody else"
            raise PublishingFailed(
                f"The schema {schema} of this database belongs to {whose}: name a database "
                "of its own, or rename that schema."
            )


def _build(
    postgres: psycopg.Connection,
    source: duckdb.DuckDBPyConnection,
    doors: Sequence[Door],
    generation: PublishedGeneration,
    progress: Callable[[str], None],
) -> tuple[dict[str, int], list[str]]:
    _drop_next(postgres, doors)
    comment = (
        f"callfunnel {generation.company}: generation {generation.generation}, "
        f"as of {generation.as_of_at}, published {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC"
    )
    rows: dict[str, int] = {}
    warnings: list[str] = []
    for door in doors:
        if not door.tables:
            continue
        schema = sql.Identifier(door.next_schema)
        # In one message, so in one transaction: a schema without our comment is not ours.
        postgres.execute(
            sql.SQL("create schema {schema}; comment on schema {schema} is {comment}").format(
                schema=schema, comment=sql.Literal(comment)
            )
        )
        for table in door.tables:
            relation = door.relations[table.name]
            count = load_table(postgres, source, door.next_schema, table, relation)
            expected = source.execute(f"select count(*) from {relation}").fetchone()
            if expected is None or count != expected[0]:
                raise PublishingFailed(
                    f"{table.name} has {count:,} rows in PostgreSQL and "
                    f"{expected[0] if expected else 'no'} in the files. "
                    "The last publication stays; materialise published_postgres again."
                )
            rows[f"{door.schema}.{table.name}"] = count
            progress(f"PostgreSQL: {door.schema}.{table.name}: {count:,} rows")
        warnings.extend(_grant(postgres, door))
    return rows, warnings


def _grant(postgres: psycopg.Connection, door: Door) -> Iterator[str]:
    """Select for the door's role and nothing for anybody else, whatever the defaults are."""
    schema = sql.Identifier(door.next_schema)
    for grantee in _grantees(postgres, door.next_schema):
        whom = sql.SQL("public") if grantee is None else sql.Identifier(grantee)
        for what in ("schema", "all tables in schema"):
            postgres.execute(
                sql.SQL("revoke all on {} {} from {}").format(sql.SQL(what), schema, whom)
            )
    reader = sql.Identifier(door.role)
    if not _has_role(postgres, door.role):
        try:
            postgres.execute(sql.SQL("create role {} nologin").format(reader))
        except errors.InsufficientPrivilege:
            yield (
                f"The role {door.role} is missing and the publishing user may not create it: "
                f"nobody else can read {door.schema}. Let the administrator run "
                f"`create role {door.role} nologin`; the next publication grants."
            )
            return
    postgres.execute(sql.SQL("grant usage on schema {} to {}").format(schema, reader))
    postgres.execute(
        sql.SQL("grant select on all tables in schema {} to {}").format(schema, reader)
    )


def _grantees(postgres: psycopg.Connection, schema: str) -> list[str | None]:
    """Whom the defaults of the database have let into a new schema; None is everybody."""
    rows = postgres.execute(
        "select distinct roles.rolname from ("
        "select nspowner as owner, (aclexplode(nspacl)).grantee from pg_namespace "
        "where nspname = %(schema)s union all "
        "select relowner, (aclexplode(relacl)).grantee from pg_class "
        "where relnamespace = (select oid from pg_namespace where nspname = %(schema)s)"
        ") as granted left join pg_roles as roles on granted.grantee = roles.oid "
        "where granted.grantee <> granted.owner order by 1",
        {"schema": schema},
    ).fetchall()
    return [name for (name,) in rows]


def _has_role(postgres: psycopg.Connection, role: str) -> bool:
    found = postgres.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    return found is not None


def _swap(postgres: psycopg.Connection, doors: Sequence[Door], patience_seconds: float) -> int:
    """Rename all schemas in one transaction that holds all tables; returns the tries it took."""
    tries = 0
    try:
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(
                (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
            ),
            stop=tenacity.stop_after_delay(patience_seconds),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.5),
            reraise=True,
        ):
            with attempt:
                tries += 1
                _rename(postgres, doors)
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
        readers = _readers(postgres, doors)
        raise PublishingFailed(
            f"The old tables were read without a pause for {patience_seconds:,.0f} s, so the new "
            f"ones were not put in their place ({tries} tries); the last publication stays. "
            f"Transactions that stay open: {'; '.join(readers) or 'gone by now'}. End them and "
            "materialise published_postgres again."
        ) from None
    return tries


def _rename(postgres: psycopg.Connection, doors: Sequence[Door]) -> None:
    """The swap as one message: a publisher that freezes in the middle of it holds no table."""
    steps: list[sql.Composable] = [
        sql.SQL("begin"),
        sql.SQL("set local synchronous_commit = on"),
        sql.SQL(f"set local lock_timeout = {_BOUND_MS}"),
        sql.SQL(f"set local statement_timeout = {_BOUND_MS}"),
    ]
    tables = [
        sql.Identifier(door.schema, name)
        for door in doors
        for name in _tables(postgres, door.schema)
    ]
    if tables:
        names = sql.SQL(", ").join(tables)
        steps.append(sql.SQL("lock table {} in access exclusive mode").format(names))
    for door in doors:
        if _exists(postgres, door.schema):
            steps.append(_renaming(door.schema, _retired_name(postgres, door.schema)))
        if door.tables:
            steps.append(_renaming(door.next_schema, door.schema))
    steps.append(sql.SQL("commit"))
    try:
        postgres.execute(sql.SQL("; ").join(steps))
    except psycopg.Error:
        with contextlib.suppress(psycopg.Error):
            postgres.execute("rollback")
        raise


def _renaming(old: str, new: str) -> sql.Composable:
    return sql.SQL("alter schema {} rename to {}").format(sql.Identifier(old), sql.Identifier(new))


def _retired_name(postgres: psycopg.Connection, schema: str) -> str:
    ours = _OURS.match(_comment(postgres, schema))
    name = f"{schema}_g{ours['generation'] if ours else 0}"
    number, free = 1, name
    while _exists(postgres, free):
        number += 1
        free = f"{name}_{number}"
    return free


def _readers(postgres: psycopg.Connection, doors: Sequence[Door]) -> list[str]:
    rows = postgres.execute(
        "select distinct activity.pid, activity.usename, activity.application_name, "
        "activity.xact_start from pg_locks as locks "
        "inner join pg_class as tables on locks.relation = tables.oid "
        "inner join pg_stat_activity as activity on locks.pid = activity.pid "
        "where locks.pid <> pg_backend_pid() and tables.relnamespace in "
        "(select oid from pg_namespace where nspname = any(%s)) order by 1",
        [[door.schema for door in doors]],
    ).fetchall()
    return [
        f"process {pid}, user {user}, {program or 'program unknown'}"
        + (f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "")
        for pid, user, program, since in rows
    ]


def _drop_next(postgres: psycopg.Connection, doors: Sequence[Door]) -> None:
    for door in doors:
        # Nobody but the owner could have built on it.
        postgres.execute(
            sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(door.next_schema))
        )


def _forget_old(postgres: psycopg.Connection, doors: Sequence[Door]) -> dict[str, tuple[str, ...]]:
    """Drop what nobody's view needs; what is being read goes the next time."""
    kept: dict[str, tuple[str, ...]] = {}
    postgres.execute(f"set lock_timeout = {_BOUND_MS}")
    for schema in _retired(postgres, doors):
        for name in _tables(postgres, schema):
            table = sql.Identifier(schema, name)
            try:
                postgres.execute(sql.SQL("drop table {} restrict").format(table))
            except errors.DependentObjectsStillExist as problem:
                kept[f"{schema}.{name}"] = _dependants(postgres, schema, name, problem)
            except errors.LockNotAvailable:
                continue
        with contextlib.suppress(errors.DependentObjectsStillExist, errors.LockNotAvailable):
            postgres.execute(sql.SQL("drop schema {} restrict").format(sql.Identifier(schema)))
    return kept


def _retired(postgres: psycopg.Connection, doors: Sequence[Door]) -> list[str]:
    rows = postgres.execute("select nspname from pg_namespace order by nspname").fetchall()
    retired = re.compile(rf"^({'|'.join(door.schema for door in doors)})_g\d+(_\d+)?$")
    return [
        name for (name,) in rows if retired.match(name) and _OURS.match(_comment(postgres, name))
    ]


def _dependants(
    postgres: psycopg.Connection, schema: str, name: str, problem: psycopg.Error
) -> tuple[str, ...]:
    rows = postgres.execute(
        "select distinct format('%%I.%%I', schemas.nspname, views.relname) from pg_depend "
        "inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid "
        "inner join pg_class as views on pg_rewrite.ev_class = views.oid "
        "inner join pg_namespace as schemas on views.relnamespace = schemas.oid "
        "where pg_depend.classid = 'pg_rewrite'::regclass "
        "and pg_depend.refobjid = format('%%I.%%I', %s::text, %s::text)::regclass order by 1",
        [schema, name],
    ).fetchall()
    return tuple(view for (view,) in rows) or (problem.diag.message_detail or "not a view",)


def _tables(postgres: psycopg.Connection, schema: str) -> list[str]:
    rows = postgres.execute(
        "select tablename from pg_tables where schemaname = %s order by tablename", [schema]
    ).fetchall()
    return [name for (name,) in rows]


def _exists(postgres: psycopg.Connection, schema: str) -> bool:
    found = postgres.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone()
    return found is not None


def _comment(postgres: psycopg.Connection, schema: str) -> str:
    row = postgres.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", [schema]
    ).fetchone()
    return str(row[0] or "") if row else ""
