"""What goes wrong with a database is told in a sentence that names the remedy, no password."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from sources.errors import InputError, SourceError
from sources.telephony import databases
from sources.telephony.reading import PbxReader
from tests.support.call_databases import FULL_COLUMNS, READER, MakeDatabase, Pbx, leg, make_pbx
from tests.support.servers import Server


@pytest.fixture
def pbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pbx:
    monkeypatch.setattr(databases, "WAIT_SECONDS", 0.0)
    return make_pbx(tmp_path, monkeypatch)


def refused(pbx: Pbx, url: str) -> str:
    """The sentence with which a load refuses an address."""
    pbx.set_url(url)
    with pytest.raises(SourceError) as caught:
        pbx.connector().cut()
    said = str(caught.value)
    assert said.endswith(".")
    password = sa.make_url(url).password
    assert not password or password not in said
    return said


def test_without_secrets_the_section_and_the_forms_are_named(pbx: Pbx) -> None:
    with pytest.raises(SourceError) as caught:
        pbx.connector()
    assert "put database_url under [sources.asterisk.testco.main]" in str(caught.value)
    assert "SOURCES__ASTERISK__TESTCO__MAIN__DATABASE_URL" in str(caught.value)
    assert "mysql+pymysql://user:password@host/database" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mssql+pyodbc://u:s3cret@host/db", "for mssql+pyodbc, which callfunnel has no driver for"),
        ("oracle://u:s3cret@host/db", "no driver for"),
        ("host=pbx password=s3cret", "a database_url that is none"),
        ("mysql+pymysql://u:s3cret@host:port/db", "a database_url that is none"),
        ("mysql+pymysql://u:p@s3cret@host/db", "characters such as @ : / # of a password as %40"),
        ("sqlite:///no/such.db", "a file that is not there"),
        ("sqlite://", "a file that is not there"),
    ],
)
def test_an_address_that_cannot_be_used_is_not_repeated(pbx: Pbx, url: str, said: str) -> None:
    pbx.set_url(url)
    with pytest.raises(SourceError) as caught:
        pbx.connector()
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "[sources.asterisk.testco.main]" in str(caught.value)


@pytest.mark.parametrize("driver", ["mysql+pymysql", "postgresql+psycopg", "mysql", "postgres"])
def test_a_server_that_is_not_there(pbx: Pbx, driver: str) -> None:
    assert "cannot be reached" in refused(pbx, f"{driver}://u:s3cret@nowhere.invalid/cdr")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        said = refused(pbx, f"{driver}://u:s3cret@127.0.0.1:{taken.getsockname()[1]}/cdr")
    assert "cannot be reached" in said
    assert "u:***@127.0.0.1" in said
    assert "check host and port of database_url under [sources.asterisk.testco.main]" in said


def test_connecting_is_tried_three_times(pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    resolve = socket.create_connection

    def counting(*arguments: object, **options: object) -> socket.socket:
        tried.append(arguments)
        return resolve(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", counting)
    refused(pbx, "mysql+pymysql://u:s3cret@127.0.0.1:9/cdr")
    assert len(tried) == databases.CONNECT_TRIES


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_what_a_server_refuses(
    kind: str, pbx: Pbx, make_database: MakeDatabase, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"{kind}_server")
    database = make_database(kind)
    url = sa.make_url(database.url)
    readable = database.url

    def changed(**parts: str) -> str:
        return url.set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]

    login = "refuses the login of connection 'main'"
    assert login in refused(pbx, changed(password="wr0ng"))
    assert login in refused(pbx, changed(username="nobody_here"))
    missing = refused(pbx, changed(database="no_such"))
    # MariaDB does not tell who may use nothing there what there is.
    assert ("has no such database" if kind == "postgresql" else "grant the user") in missing
    if kind == "mariadb":
        as_admin = server.url("no_such").render_as_string(hide_password=False)
        assert "has no such database" in refused(pbx, as_admin)
    assert "no table cdr" in refused(pbx, readable) or "grant the user" in refused(pbx, readable)
    as_admin = server.url(url.database or "").render_as_string(hide_password=False)
    assert "has no table cdr, or hides it" in refused(pbx, as_admin)
    database.create(FULL_COLUMNS)
    pbx.set_url(readable)
    pbx.connector().cut()
    if kind == "mariadb":
        server.execute(f"revoke all on {url.database}.* from reader@'127.0.0.1'")
        server.execute(f"create table {url.database}.other (a int)")
        server.execute(f"grant select on {url.database}.other to reader@'127.0.0.1'")
    else:
        database.execute("revoke all on cdr from reader")
    with pytest.raises(SourceError, match="grant the user SELECT") as caught:
        pbx.load()
    assert READER not in str(caught.value)


def test_a_password_is_sent_as_utf_8(
    pbx: Pbx, make_database: MakeDatabase, mariadb_server: Server, postgresql_server: Server
) -> None:
    for kind, server in (("mariadb", mariadb_server), ("postgresql", postgresql_server)):
        database = make_database(kind)
        database.create(FULL_COLUMNS)
        name = sa.make_url(database.url).database
        quoted = "'пароль'"
        if kind == "mariadb":
            server.execute(
                f"create user other@'127.0.0.1' identified by {quoted}",
                f"grant select on {name}.* to other@'127.0.0.1'",
            )
        else:
            server.execute(
                f"create user other password {quoted}",
                "grant select on cdr to other",
                database=name or "",
            )
        url = server.url(name or "", user="other", password="пароль")
        pbx.set_url(url.render_as_string(hide_password=False))
        pbx.connector().cut()


def test_a_table_that_is_gone_in_the_middle_is_no_load(
    database_of_calls: tuple[Pbx, str], make_database: MakeDatabase
) -> None:
    pbx, _ = database_of_calls
    pbx.load()
    database = make_database("sqlite")
    pbx.set_url(database.url)
    database.execute("create table other (a int)")
    with pytest.raises(SourceError, match="has no table cdr"):
        pbx.load()
    assert pbx.raw("select count(*) from load_log") == [(1,)]


@pytest.fixture
def database_of_calls(pbx: Pbx, make_database: MakeDatabase) -> tuple[Pbx, str]:
    database = make_database("sqlite")
    database.create(FULL_COLUMNS)
    database.insert(leg("1.1", dt.datetime(2026, 1, 1, 12), sequence=1))
    pbx.set_url(database.url)
    return pbx, database.url


def test_a_table_of_something_else_is_told_by_its_columns(
    pbx: Pbx, make_database: MakeDatabase
) -> None:
    database = make_database("sqlite")
    database.create({"id": "int", "name": "text"})
    pbx.set_url(database.url)
    with pytest.raises(InputError, match="has no column calldate or start; it has id, name"):
        pbx.connector().cut()


def test_a_file_that_is_no_database(pbx: Pbx, tmp_path: Path) -> None:
    (tmp_path / "calls.db").write_text("certainly no database" * 100)
    said = refused(pbx, f"sqlite:///{tmp_path}/calls.db")
    assert "file is not a database" in said


def test_a_relative_file_is_looked_for_in_the_companys_data(pbx: Pbx) -> None:
    path = pbx.settings.data_dir / "pbx" / "calls.db"
    path.parent.mkdir(parents=True)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("create table cdr (calldate datetime, uniqueid text)"))
    engine.dispose()
    pbx.set_url("sqlite:///pbx/calls.db")
    before = dt.datetime.now(dt.UTC)
    assert pbx.connector().cut().at <= before + dt.timedelta(seconds=1)


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_the_clock_is_the_servers_in_the_zone_of_the_pbx(
    kind: str, pbx: Pbx, make_database: MakeDatabase
) -> None:
    database = make_database(kind)
    database.create(FULL_COLUMNS)
    pbx.set_url(database.url)
    reader: PbxReader = pbx.connector().reader
    now = reader.now()
    assert abs(now - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert str(now.tzinfo) == "Europe/Kyiv"


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("mariadb", "timestamp null", "2026-01-05 10:00:00"),
        ("postgresql", "timestamptz", "2026-01-05 10:00:00+00"),
        ("mariadb", "bigint", 1767607200),
        ("postgresql", "bigint", 1767607200),
        ("sqlite", "integer", 1767607200),
        ("mariadb", "varchar(40)", "2026-01-05 12:00:00"),
        ("postgresql", "text", "05.01.2026 12:00"),
        ("sqlite", "text", "2026-01-05T12:00:00+02:00"),
        ("sqlite", "datetime", "2026-01-05 12:00:00.000000"),
    ],
)
def test_whatever_the_column_of_dates_is(
    kind: str, column: str, value: object, pbx: Pbx, make_database: MakeDatabase
) -> None:
    """One instant, 5 January 2026, 10:00 UTC, noon in Kyiv."""
    database = make_database(kind)
    database.create(FULL_COLUMNS | {"calldate": column})
    if kind == "mariadb":
        with database.engine.begin() as connection:
            connection.execute(sa.text("set time_zone = '+00:00'"))
            connection.execute(
                sa.text("insert into cdr (uniqueid, sequence, calldate) values ('1.1', 1, :at)"),
                {"at": value},
            )
    else:
        database.insert({"uniqueid": "1.1", "sequence": 1, "calldate": value})
    pbx.set_url(database.url)
    reader = pbx.connector().reader
    table = reader.tables[0]
    ten = dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)
    reader.now()
    assert reader.first_at() == ten
    second = dt.timedelta(seconds=1)
    for start, end, rows in [
        (ten, ten + second, 1),
        (ten - second, ten, 0),
        (ten + second, ten + 5 * second, 0),
        (ten - 9 * second, ten + second, 1),
    ]:
        found = [row for answer in reader.read(table, start, end) for row in answer.rows]
        assert (len(found), reader.count(table, start, end)) == (rows, rows)
    reader.close()


def test_zero_dates_of_mariadb_go_to_the_quarantine(pbx: Pbx, make_database: MakeDatabase) -> None:
    database = make_database("mariadb")
    database.create(FULL_COLUMNS)
    with database.engine.begin() as connection:
        connection.execute(sa.text("set sql_mode = ''"))
        connection.execute(
            sa.text("insert into cdr (uniqueid, calldate) values ('1.1', '0000-00-00 00:00:00')")
        )
    database.insert(leg("1.2", dt.datetime(2026, 1, 1, 12), sequence=1))
    pbx.set_url(database.url)
    pbx.load()
    assert pbx.raw("select uniqueid from asterisk_cdr") == [("1.2",)]
    assert pbx.raw("select reason from quarantine") == [
        ("calldate: '0000-00-00 00:00:00' is not a date",)
    ]


def test_bytes_that_are_no_utf_8_are_read_as_windows_text(
    pbx: Pbx, make_database: MakeDatabase
) -> None:
    database = make_database("sqlite")
    database.create(FULL_COLUMNS)
    database.insert(leg("1.1", dt.datetime(2026, 1, 1, 12), sequence=1))
    database.execute("update cdr set clid = cast(x'c8e2e0ed' as text), cnam = 'a' || char(0)")
    pbx.set_url(database.url)
    pbx.load()
    assert pbx.raw("select clid, cnam from asterisk_cdr") == [("Иван", "a\0")]


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_table_of_another_schema(kind: str, pbx: Pbx, make_database: MakeDatabase) -> None:
    database = make_database(kind)
    schema = "calls" if kind == "postgresql" else sa.make_url(database.url).database
    if kind == "postgresql":
        database.execute("create schema calls")
        database.execute("grant usage on schema calls to reader")
    database.create(FULL_COLUMNS, table=f"{schema}.records" if kind == "mariadb" else "records")
    if kind == "postgresql":
        database.execute("alter table records set schema calls")
    rules = pbx.settings.company_dir / "company.toml"
    section = f'[connections.asterisk.main]\ntable = "{schema}.records"\n'
    rules.write_text(rules.read_text().replace("[connections.asterisk.main]\n", section))
    pbx.set_url(database.url)
    assert pbx.load().problems == ()
