"""Publishing to a real PostgreSQL: one generation is read, whatever becomes of the publisher."""

from __future__ import annotations

import hmac
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr

from orchestration.doctor.findings import Finding
from orchestration.doctor.publishing import look_at_publishing
from orchestration.publishing import postgres as publishing
from orchestration.publishing.failures import PublishingFailed
from orchestration.publishing.postgres import connect, read_generation
from orchestration.publishing.postgres_tables import load_table
from orchestration.publishing.tables import PublishedTable
from orchestration.settings import PROJECT_DIR, Settings
from sources.company import CompanyRules
from tests.support import servers
from tests.support.publications import (
    ROWS,
    TABLES,
    TABLES_COUNT,
    publish,
    whole_generation,
    write_generation,
)

_LONGEST_SECONDS = 0.5
"""No reader waits longer for a publication."""


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.postgresql() as started:
        yield started


@pytest.fixture
def address(server: servers.Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of its own."""
    name = re.sub(r"\W", "_", request.node.name)[:60].lower()
    server.execute(f"create database {name}", database="postgres")
    yield server.url(name).render_as_string(hide_password=False)
    server.execute(f"drop database {name} with (force)", database="postgres")


@pytest.fixture
def published(address: str, tmp_path: Path) -> Path:
    """The folder of files whose generation 1 stands in PostgreSQL, generation 2 in the files."""
    write_generation(tmp_path, 1)
    publish(address, tmp_path)
    write_generation(tmp_path, 2)
    return tmp_path


@dataclass
class Readers:
    """Threads that read until they are told to stop; when each read went on, what was wrong."""

    address: str
    is_over: threading.Event = field(default_factory=threading.Event)
    reads: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    torn: list[object] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, kind: Callable[[Readers, psycopg.Connection, random.Random], None]) -> None:
        seed = len(self.threads)

        def read() -> None:
            try:
                with connect(self.address) as connection:
                    connection.execute("set role bi_ro")
                    while not self.is_over.is_set():
                        kind(self, connection, random.Random(seed))
                        seed_next()
            except BaseException as problem:
                self.problems.append(problem)

        def seed_next() -> None:
            nonlocal seed
            seed += 1000

        thread = threading.Thread(target=read)
        self.threads.append(thread)
        thread.start()

    def ask(
        self, kind: str, connection: psycopg.Connection, query: str
    ) -> list[tuple[object, ...]]:
        begun = time.monotonic()
        rows = connection.execute(query).fetchall()
        self.note(kind, begun)
        return rows

    def note(self, kind: str, begun: float) -> None:
        self.reads.setdefault(kind, []).append((begun, time.monotonic()))

    def stop(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def _joined(chance: random.Random) -> tuple[str, str]:
    one, other = chance.sample(TABLES, 2)
    return one.name, other.name


def one_statement(readers: Readers, connection: psycopg.Connection, chance: random.Random) -> None:
    """Joins two tables."""
    one, other = _joined(chance)
    rows = readers.ask(
        "statement",
        connection,
        f"select a.generation, b.generation, count(*) from marts.{one} as a "
        f"inner join marts.{other} as b using (id) group by 1, 2",
    )
    if len(rows) != 1 or rows[0][0] != rows[0][1] or rows[0][2] != ROWS:
        readers.torn.append(("statement", one, other, rows))
    time.sleep(0.005)


def control(readers: Readers, connection: psycopg.Connection, _: random.Random) -> None:
    """Reads a table that is never swapped, round after round without a gap between them."""
    begun = time.monotonic()
    connection.execute("select count(*) from control.beside").fetchall()
    time.sleep(0.005)
    readers.note("control", begun)


def _two_statements(
    readers: Readers, connection: psycopg.Connection, chance: random.Random, kind: str, pause: float
) -> None:
    one, other = _joined(chance)
    query = "select min(generation), max(generation), count(*) from marts.{}"
    first = readers.ask(kind, connection, query.format(one))
    time.sleep(pause)
    second = readers.ask(kind, connection, query.format(other))
    if first != second or first[0][0] != first[0][1] or first[0][2] != ROWS:
        readers.torn.append((kind, one, other, first, second))


def one_transaction(
    readers: Readers, connection: psycopg.Connection, chance: random.Random
) -> None:
    with connection.transaction():
        _two_statements(readers, connection, chance, "transaction", chance.uniform(0, 0.02))
    time.sleep(0.02)


def old_snapshot(readers: Readers, connection: psycopg.Connection, chance: random.Random) -> None:
    """Takes its snapshot a while before it reads: rows of the new tables are younger."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        connection.execute("select count(*) from control.beside")
        time.sleep(chance.uniform(0, 0.8))
        _two_statements(readers, connection, chance, "snapshot", 0)


def long_transaction(
    readers: Readers, connection: psycopg.Connection, chance: random.Random
) -> None:
    with connection.transaction():
        _two_statements(readers, connection, chance, "long", chance.uniform(0.3, 1.5))
    time.sleep(chance.uniform(0.5, 1.5))


def _control_table(address: str) -> None:
    with connect(address) as connection:
        connection.execute(
            "create schema control; create table control.beside as select 1 as one; "
            "grant usage on schema control to bi_ro; grant select on control.beside to bi_ro"
        )


def _publish_among_readers(address: str, folder: Path, times: int, more: int) -> Readers:
    _control_table(address)
    readers = Readers(address)
    readers.start(control)
    for _ in range(more):
        for kind in (one_statement, one_transaction, old_snapshot, long_transaction):
            readers.start(kind)
    try:
        for number in range(2, 2 + times):
            if number > 2:
                write_generation(folder, number)
            publish(address, folder)
            assert whole_generation(address) == number
    finally:
        readers.stop()
    return readers


def _require_undisturbed(readers: Readers) -> None:
    assert not readers.problems, readers.problems[:3]
    assert not readers.torn, readers.torn[:3]
    assert set(readers.reads) == {"statement", "control", "transaction", "snapshot", "long"}
    assert not _blocked(readers.reads)


def _blocked(reads: dict[str, list[tuple[float, float]]]) -> list[tuple[str, float, float]]:
    """Reads that took half a second more than the machine kept a control waiting meanwhile.

    A stall of the machine excuses the reads that it met, for as long as it met them, and no other.
    """
    found = []
    for kind, times in reads.items():
        for begun, ended in times if kind != "control" else ():
            if ended - begun >= _LONGEST_SECONDS:
                met = [min(ended, end) - max(begun, begin) for begin, end in reads["control"]]
                stalled = max(0.0, *met)
                if ended - begun >= _LONGEST_SECONDS + stalled:
                    found.append((kind, ended - begun, stalled))
    return found


def test_a_stall_of_the_machine_excuses_no_read_but_those_that_it_met() -> None:
    calm = [(number / 100, (number + 1) / 100) for number in range(300)]
    stall = [*calm[:100], (1.0, 2.0), *calm[200:]]
    waited = [("statement", pytest.approx(0.7), pytest.approx(0.01))]
    assert _blocked({"control": stall, "statement": [(2.1, 2.8)]}) == waited
    assert _blocked({"control": calm, "statement": [(1.2, 1.9)]}) == waited
    assert _blocked({"control": stall, "statement": [(1.2, 1.9)]}) == []
    assert _blocked({"control": stall, "statement": [(1.9, 2.6)]}) == [
        ("statement", pytest.approx(0.7), pytest.approx(0.1))
    ]


def test_readers_see_one_generation_and_wait_for_nothing(address: str, published: Path) -> None:
    _require_undisturbed(_publish_among_readers(address, published, times=6, more=1))


@pytest.mark.long
def test_sixty_publications_among_many_readers(address: str, published: Path) -> None:
    readers = _publish_among_readers(address, published, times=60, more=2)
    for kind, times in readers.reads.items():
        print(kind, len(times), round(max(end - begin for begin, end in times), 3))
    _require_undisturbed(readers)


def test_a_snapshot_older_than_the_publication_finds_its_tables_full(
    address: str, published: Path
) -> None:
    _control_table(address)
    with connect(address) as reader, reader.transaction():
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select count(*) from control.beside")
        publish(address, published)
        found = reader.execute("select max(generation), count(*) from marts.t05").fetchone()
    assert found == (2, ROWS)


def test_a_long_reader_keeps_the_old_generation_and_is_named(address: str, published: Path) -> None:
    with connect(address) as reader:
        reader.execute("set application_name = 'month report'")
        with reader.transaction():
            reader.execute("select * from marts.t07")
            with pytest.raises(PublishingFailed, match=r"month report.*End them") as told:
                publish(address, published, patience_seconds=1.5)
            assert "user admin" in str(told.value)
            # Whoever comes meanwhile is not kept waiting.
            assert whole_generation(address) == 1
    assert _schemas(address) == {"marts"}
    publish(address, published)
    assert whole_generation(address) == 2


def test_a_view_keeps_what_it_reads_of_the_old_generation_and_is_named(
    address: str, published: Path
) -> None:
    with connect(address) as analyst:
        analyst.execute("create schema analyst")
        analyst.execute("create view analyst.things as select * from marts.t03")
        first = publish(address, published)
        assert first.kept == {"marts_g1.t03": ("analyst.things",)}
        assert _schemas(address) == {"marts", "marts_g1"}
        assert whole_generation(address) == 2
        analyst.execute("drop view analyst.things")
        analyst.execute("create view analyst.things as select * from marts.t03")
    write_generation(published, 3)
    assert publish(address, published).kept == {"marts_g2.t03": ("analyst.things",)}
    assert _schemas(address) == {"marts", "marts_g2"}


def test_the_same_generation_may_be_published_again(address: str, published: Path) -> None:
    with connect(address) as analyst:
        analyst.execute("create view public.things as select * from marts.t03")
    for _ in range(2):
        publish(address, published)
    assert whole_generation(address) == 2
    assert _schemas(address) == {"marts", "marts_g1"}


def test_tables_have_types_key_index_comments_and_one_role_of_readers(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.publishing.postgres_tables.INDEXED_ROWS", ROWS)
    write_generation(tmp_path, 1)
    publication = publish(address, tmp_path)
    assert publication.rows == {f"marts.{table.name}": ROWS for table in TABLES}
    with connect(address) as postgres:

        def ask(query: str) -> list[tuple[object, ...]]:
            return postgres.execute(query).fetchall()

        assert ask(
            "select column_name, data_type, col_description('marts.t05'::regclass, "
            "ordinal_position) from information_schema.columns where table_schema = 'marts' "
            "and table_name = 't05' order by ordinal_position"
        ) == [
            ("id", "bigint", "Key of the thing."),
            ("told_on", "date", "Day; it's local."),
            ("generation", "integer", "Number of the publication: the same in every table of one "
             "publication."),
            ("as_of_at", "timestamp without time zone", "The moment the data describe, UTC."),
        ]  # fmt: skip
        assert ask("select obj_description('marts.t05'::regclass)") == [
            ("One row per thing 5; it's small.",)
        ]
        assert ask(
            "select indexname from pg_indexes where schemaname = 'marts' and tablename = 't05' "
            "order by 1"
        ) == [("t05_pkey",), ("t05_told_on_idx",)]
        assert ask("select distinct as_of_at::text from marts.t05") == [("2026-06-30 15:00:00",)]
        postgres.execute("set role bi_ro")
        assert ask("select count(*) from marts.t05") == [(ROWS,)]
        for forbidden in ("delete from marts.t05", "create table marts.x (a int)"):
            with pytest.raises(errors.InsufficientPrivilege):
                postgres.execute(forbidden)
        postgres.execute("reset role; create role passer_by; set role passer_by")
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute("select * from marts.t05")
        postgres.execute("reset role; drop role passer_by")


def test_every_value_arrives_as_it_was(address: str) -> None:
    values = """
        select * from (values
            (1::bigint, 'плюс "кавычки", запятая', 1.25::decimal(18, 2), 0.1::double, true,
             timestamp '2026-03-29 01:30:00.123456', date '9999-12-31', 5::integer),
            (2, '', -0.01, 'nan'::double, false, timestamp '1970-01-01', date '2026-02-28', -5),
            (3, null, null, null, null, null, null, null),
            (4, 'two' || chr(10) || 'lines \\. \\N', 9999999999999999.99, 'inf'::double, null,
             null, null, 0),
            (5, 'a' || chr(0) || 'b', null, 1e300, null, null, null, null)
        ) as t (id, told, amount, share, is_true, seen_at, seen_on, count)"""
    table = PublishedTable("marts", "odd", (), (), key="id")
    with duckdb.connect() as source, connect(address) as postgres:
        source.execute(f"create table odd as {values}")
        postgres.execute("create schema marts_next")
        assert load_table(postgres, source, "marts_next", table, "odd") == 5
        found = postgres.execute("select * from marts_next.odd order by id").fetchall()
        expected = source.execute("select * from odd order by id").fetchall()
    expected[4] = (5, "ab", *expected[4][2:])  # PostgreSQL's text can't hold the character 0
    assert str(found) == str(expected)


def test_files_that_are_not_there_are_told(address: str, tmp_path: Path) -> None:
    with pytest.raises(PublishingFailed, match="materialise published_files first"):
        publish(address, tmp_path)


@pytest.mark.parametrize("comment", ["their own", "callfunnel other: generation 4, as of x"])
def test_a_schema_of_somebody_else_is_left_alone(
    address: str, tmp_path: Path, comment: str
) -> None:
    write_generation(tmp_path, 1)
    with connect(address) as postgres:
        postgres.execute(f"create schema marts; comment on schema marts is '{comment}'")
        with pytest.raises(PublishingFailed, match=r"belongs to (company other|somebody else)"):
            publish(address, tmp_path)
    assert _schemas(address) == {"marts"}


def test_two_publishers_take_turns(
    address: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_TURN_SECONDS", 0.1)

    said: list[str] = []

    def publish_too(line: str) -> None:
        said.append(line)
        if len(said) > 1:
            return
        with pytest.raises(PublishingFailed, match="Another publisher"):
            publish(address, published)

    write_generation(published, 3)
    publish(address, published, progress=publish_too)
    assert whole_generation(address) == 3


def test_a_publisher_without_the_right_to_create_roles_publishes_and_says_what_is_missing(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_generation(tmp_path, 1)
    monkeypatch.setattr(publishing, "READERS", "bi_absent")
    with connect(address) as postgres:
        database = postgres.info.dbname
        postgres.execute("create role loader login password 'loader'")
        postgres.execute(f"grant create on database {database} to loader")
    as_loader = re.sub(r"//[^@]*@", "//loader:loader@", address)
    publication = publish(as_loader, tmp_path)
    assert any("create role bi_absent nologin" in said for said in publication.warnings)
    with connect(address) as postgres:
        assert postgres.execute("select count(*) from marts.t05").fetchone() == (ROWS,)
        postgres.execute(f"revoke create on database {database} from loader")
    write_generation(tmp_path, 2)
    with pytest.raises(PublishingFailed, match="grant CREATE on the database"):
        publish(as_loader, tmp_path)
    with connect(address) as postgres:
        postgres.execute("drop owned by loader cascade; drop role loader")


@pytest.mark.parametrize("after", [1, 20, TABLES_COUNT])
def test_a_lost_connection_leaves_the_old_generation(
    address: str, published: Path, after: int
) -> None:
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        if len(said) == after:
            with connect(address) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = "
                    "current_database() and pid <> pg_backend_pid()"
                )

    with pytest.raises(PublishingFailed, match=r"broke off|can't be reached"):
        publish(address, published, progress=progress)
    assert whole_generation(address) == 1
    publish(address, published)
    assert whole_generation(address) == 2
    assert _schemas(address) == {"marts"}


def test_a_server_that_can_not_write_leaves_the_old_generation(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: no right is needed for it."""
    too_large = PublishedTable("marts", "t41", (), (), key="id")
    write_generation(tmp_path, 1)
    # Above the 16 MB of a file of the write-ahead log.
    with servers.postgresql(largest_file=18 << 20) as limited:
        address = limited.url("postgres").render_as_string(hide_password=False)
        publish(address, tmp_path)
        write_generation(tmp_path, 2)
        generation = read_generation(tmp_path)
        with duckdb.connect(str(generation.database)) as connection:
            connection.execute(
                "create table marts.t41 as select range as id, "
                "repeat(md5(range::varchar), 30) as filler from range(22_000)"
            )
        with pytest.raises(PublishingFailed, match=r"File too large.*last publication"):
            publishing.publish_postgres(
                address,
                replace(generation, rows={**generation.rows, "t41": 22_000}),
                (*TABLES, too_large),
                memory_limit="500MB",
                temp_dir=tmp_path / "tmp",
            )
        assert whole_generation(address) == 1
        publish(address, tmp_path)
        assert whole_generation(address) == 2
        assert _schemas(address) == {"marts"}


def _examined(address: str) -> list[Finding]:
    settings = Settings(company="acme", publish_postgres=SecretStr(address))
    return list(look_at_publishing(settings, RULES))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:/admin:s3cret@host/db",
        "postgresql://admin:s3c%zzret@host/db",
        "postgresql://admin:s3/cret@host/db",
        "postgresql://admin:s3c@ret@host/db",
        "postgresql://admin:s3:cret@host:x/db",
    ],
)
def test_of_an_address_that_can_not_be_read_nothing_is_told(address: str, tmp_path: Path) -> None:
    write_generation(tmp_path, 1)
    with pytest.raises(PublishingFailed, match="are written %25 %40 %3A %2F %23") as refused:
        publish(address, tmp_path)
    (finding,) = _examined(address)
    assert finding.status == "problem"
    for told in (str(refused.value), finding.says):
        assert not re.search("s3|cret|zz", told)


def test_a_swap_is_one_message_so_that_no_publisher_freezes_in_the_middle(
    address: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def spy(self: psycopg.Connection, query: Any, *more: Any, **options: Any) -> Any:
        sent.append(query if isinstance(query, str) else query.as_string(self))
        return execute(self, query, *more, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", spy)
    publish(address, published)
    (swap,) = [query for query in sent if "access exclusive" in query]
    assert swap.startswith("begin; ")
    assert swap.count("lock table ") == 1
    assert swap.count(" rename to ") == 2
    assert swap.endswith("; commit")
    assert sum("alter schema" in query for query in sent) == 1


def test_a_place_of_somebody_elses_to_build_in_is_left_alone(address: str, published: Path) -> None:
    with connect(address) as postgres:
        postgres.execute("create schema marts_next; create table marts_next.mine (x int)")
    with pytest.raises(PublishingFailed, match="schema marts_next of this database belongs"):
        publish(address, published)
    with connect(address) as postgres:
        postgres.execute("select x from marts_next.mine")


def test_what_fails_behind_the_swap_is_a_warning(
    address: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise errors.InsufficientPrivilege("must be owner of table t05")

    monkeypatch.setattr(publishing, "_forget_old", fails)
    (warning,) = publish(address, published).warnings
    assert "left for the next publication (must be owner of table t05)" in warning
    assert whole_generation(address) == 2


RULES = CompanyRules.model_validate(
    {"company": {"name": "Acme", "time_zone": "Europe/Kyiv"}, "connections": {}}
)


def test_the_doctor_says_what_keeps_a_publication_from_going_through(
    address: str, tmp_path: Path
) -> None:
    (nothing,) = _examined("")
    assert (nothing.status, nothing.says[:10]) == ("ok", "no address")
    (empty,) = _examined(address)
    assert empty.status == "ok"
    assert empty.says.endswith("user admin, nothing published yet")
    assert _schemas(address) == set()
    write_generation(tmp_path, 3)
    publish(address, tmp_path)
    assert _examined(address)[0].says.endswith("generation 3 is published")
    (unreachable,) = _examined("postgresql://admin:pass-word@127.0.0.1:1/none")
    assert unreachable.status == "problem"
    assert "127.0.0.1:1/none can't be reached" in unreachable.says
    (refused,) = _examined(re.sub(r"//[^@]*@", "//admin:pass-word@", address))
    assert "password authentication failed" in refused.says
    assert "pass-word" not in unreachable.says + refused.says
    with connect(address) as postgres:
        postgres.execute("create role visitor login password 'visitor'")
    (visitor,) = _examined(re.sub(r"//[^@]*@", "//visitor:visitor@", address))
    assert "may not create schemas" in visitor.says
    with connect(address) as postgres:
        postgres.execute("comment on schema marts is 'callfunnel other: generation 1, as of x'")
    (other,) = _examined(address)
    assert "belongs to company other" in other.says


REGISTER = PublishedTable(
    "metrics",
    "metric_missed_calls__by_case",
    ("missed_case_key", "phone_e164", "case_hash", "told"),
    (),
    description="One row per case.",
    key="missed_case_key",
    expressions={"case_hash": "keyed_hash(told)", "told": "masked(told)"},
)


def test_registers_with_numbers_are_for_their_role_alone_and_go_where_they_are_not_wanted(
    address: str, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema metrics")
        connection.execute(
            "create table metrics.metric_missed_calls__by_case as "
            "select 5 as missed_case_key, '+79161234567' as phone_e164, 'to a@b.example' as told"
        )
    contacts = publishing.Contacts(warehouse, (REGISTER,), b"key")
    register = "marts_contacts.metric_missed_calls__by_case"
    for number in (1, 2):
        write_generation(tmp_path, number)
        publication = publish(address, tmp_path, contacts=contacts)
        assert publication.rows[register] == 1
        assert _schemas(address) == {"marts", "marts_contacts"}
        with connect(address) as postgres:
            postgres.execute("set role bi_sales")
            assert postgres.execute(
                f"select phone_e164, case_hash, told, generation, as_of_at::text from {register}"
            ).fetchall() == [
                (
                    "+79161234567",
                    hmac.digest(b"key", b"to a@b.example", "sha256").hex()[:32],
                    "to ***",
                    number,
                    "2026-06-30 15:00:00",
                )
            ]
            with pytest.raises(errors.InsufficientPrivilege):
                postgres.execute("select * from marts.t05")
            postgres.execute("reset role; set role bi_ro")
            with pytest.raises(errors.InsufficientPrivilege):
                postgres.execute(f"select * from {register}")
            # Whatever somebody grants by default does not open it.
            postgres.execute("reset role")
            if number == 1:
                postgres.execute("create role analyst nologin")
            postgres.execute(
                "alter default privileges grant usage on schemas to bi_ro, bi_sales, analyst"
            )
            postgres.execute(
                "alter default privileges grant all on tables to bi_ro, bi_sales, analyst, public"
            )
    with connect(address) as postgres:
        granted = postgres.execute(
            "select distinct table_schema, grantee, privilege_type "
            "from information_schema.role_table_grants "
            "where table_schema like 'marts%' and grantee <> current_user order by 1, 2, 3"
        ).fetchall()
    assert granted == [("marts", "bi_ro", "SELECT"), ("marts_contacts", "bi_sales", "SELECT")]
    publish(address, tmp_path)
    assert _schemas(address) == {"marts"}


def _kill_publishers(address: str, folder: Path, points: list[tuple[int, float]]) -> set[int]:
    """Kill a publisher so many lines and seconds after its begin; which generations stand."""
    seen = set()
    for number, (lines, seconds) in enumerate(points, 2):
        if number > 2:
            write_generation(folder, number)
        before = whole_generation(address)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.support.publications", address, str(folder), "1"],
            cwd=PROJECT_DIR,
            stdout=subprocess.PIPE,
            text=True,
        ) as publisher:
            assert publisher.stdout is not None
            assert publisher.stdout.readline().startswith("ready")
            for _ in range(lines):
                assert publisher.stdout.readline()
            time.sleep(seconds)
            publisher.kill()
        after = whole_generation(address)
        assert after in (before, number)
        seen.add(after - before)
    write_generation(folder, 1000)
    publish(address, folder)
    assert whole_generation(address) == 1000
    assert _schemas(address) == {"marts"}
    return seen


def test_a_killed_publisher_leaves_the_old_or_the_new_generation(
    address: str, published: Path
) -> None:
    points = [(0, 0.05), (23, 0.002), (TABLES_COUNT, 0.004), (TABLES_COUNT, 1.5)]
    assert 0 in _kill_publishers(address, published, points)


@pytest.mark.long
def test_publishers_killed_at_fifty_points(address: str, published: Path) -> None:
    chance = random.Random(9)
    points = [(chance.randint(0, TABLES_COUNT), chance.uniform(0, 0.03)) for _ in range(25)]
    points += [(TABLES_COUNT, chance.uniform(0, 0.12)) for _ in range(25)]
    seen = _kill_publishers(address, published, points)
    assert 0 in seen
    assert len(seen) > 1, "no kill came after a swap"


def _schemas(address: str) -> set[str]:
    with connect(address) as postgres:
        rows = postgres.execute(
            "select nspname from pg_namespace where nspname like 'marts%'"
        ).fetchall()
    return {name for (name,) in rows}
