"""One table of calls in MariaDB, MySQL, PostgreSQL or SQLite, read through dlt's table loader."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
import tenacity
from dlt.sources.sql_database import TableLoader

from sources.errors import InputError, RemoteError, SourceError
from sources.telephony.files import written_at
from sources.telephony.reading import PbxAccess
from sources.telephony.records import EARLIEST, LATEST, local_bounds, text_of

CHUNK_ROWS = 20_000
SLICE_DAYS = 31
"""Of a first load: PBX often lack an index on the date, then every window scans the table."""
CONNECT_TRIES = 3
WAIT_SECONDS = 1.0
"""Before the second try of connecting; then twice as long."""
_CONNECT_SECONDS = 10
_READ_SECONDS = 300
_DAY = dt.timedelta(days=1)

_DRIVERS: Mapping[str, str] = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}
_FORMS = (
    "mysql+pymysql://user:password@host/database, postgresql+psycopg://user:password@host/database "
    "or sqlite:///file.db (characters such as @ : / # of a password as %40 %3A %2F %23)"
)
_NOW: Mapping[str, str] = {
    "mysql": "select utc_timestamp(6)",
    "postgresql": "select clock_timestamp()",
}
_Form = Literal["local", "instant", "seconds", "text"]
_MYSQL_FORMS: Mapping[str, _Form] = {
    **dict.fromkeys(("datetime", "date"), "local"),
    # MariaDB's instants, told in the session's zone.
    "timestamp": "instant",
    **dict.fromkeys(("int", "bigint", "mediumint", "decimal", "float", "double"), "seconds"),
}
_Cause = Literal["login", "right", "database", "table", "unreachable", "busy", "lost", "unknown"]

# MariaDB's and MySQL's error numbers, PostgreSQL's SQLSTATE.
_CAUSES: Mapping[str, _Cause] = {
    **dict.fromkeys(("1045", "1130", "1698", "28000", "28P01"), "login"),
    **dict.fromkeys(("1044", "1142", "1143", "1370", "42501"), "right"),
    **dict.fromkeys(("1049", "3D000"), "database"),
    **dict.fromkeys(("1146", "42P01", "3F000"), "table"),
    **dict.fromkeys(("2002", "2003", "2005", "08001"), "unreachable"),
    **dict.fromkeys(("1040", "1129", "1203", "53300", "57P03"), "busy"),
    **dict.fromkeys(("2006", "2013", "2014", "1053", "1927", "08003", "08006"), "lost"),
    **dict.fromkeys(("57P01", "57P02"), "lost"),
}
# While psycopg connects, the words are all it hands on.
_WORDS: Sequence[tuple[str, _Cause]] = (
    ("password authentication failed", "login"),
    ("no password supplied", "login"),
    ("no pg_hba.conf entry", "login"),
    ("role ", "login"),
    ("permission denied for database", "right"),
    ("database ", "database"),
    ("too many c", "busy"),
    ("starting up", "busy"),
    ("resolve host", "unreachable"),
    ("translate host", "unreachable"),
    ("connection refused", "unreachable"),
    ("timeout expired", "unreachable"),
    ("closed the connection", "lost"),
    ("connection lost", "lost"),
)
_REMEDIES: Mapping[_Cause, str] = {
    "login": (
        "refuses the login of connection '{connection}' ({said}); check user and password of "
        "{where}, and that the user may connect from this machine."
    ),
    "right": (
        "does not let the user of connection '{connection}' read {table} ({said}); check the names "
        "of the database and the table, and let its administrator grant the user SELECT on it."
    ),
    "database": (
        "has no such database ({said}); check the name at the end of {where}, and that the user "
        "may use it."
    ),
    "table": (
        "has no table {table}, or hides it from the user of connection '{connection}'; name it "
        "with `table = …` in company.toml, or let its administrator grant the user SELECT on it."
    ),
    "unreachable": (
        "cannot be reached ({said}); check host and port of {where}, and that the server and its "
        "firewall let this machine in."
    ),
    "busy": "takes no more connections just now ({said}); run again later.",
    "lost": (
        "broke off while {table} was read ({said}); what came does not count as a load. Run again."
    ),
    "unknown": (
        "answered with an error while {table} was read ({said}); run again, and if it stays, show "
        "this line to the database's administrator."
    ),
}

logger = logging.getLogger("callfunnel.telephony")


class DatabaseRecords:
    """One table or view of a database.

    A column of dates is compared by the database, which then counts, too. In a column of texts,
    and in SQLite, which has no dates, the database leaves out what is far away from the window.

    Args:
        access: `database_url` is asked from its secrets.
        table: `table` or `schema.table`.
        beginning: the column that says when a call began, the first of these that is there.
        columns: further columns that must be there.

    Raises:
        SourceError: no usable `database_url`.
    """

    def __init__(
        self, access: PbxAccess, table: str, beginning: Sequence[str], columns: Iterable[str] = ()
    ) -> None:
        self._url = database_url(access)
        self._table_name = table
        self._beginning = beginning
        self._columns = tuple(columns)
        self._zone = access.zone
        self._connection = access.connection
        self._where = f"database_url under {access.secrets.section} in .dlt/secrets.toml"
        self._engine = self._make_engine()

    @property
    def is_windowed(self) -> bool:
        """Whether the database picks out the rows of a window."""
        return self._form != "text"

    def now(self) -> dt.datetime:
        """The server's clock; of a SQLite file the time at which it was written."""
        self._check_columns()
        if self._url.get_backend_name() == "sqlite":
            path = Path(self._url.database or "")
            # What SQLite has not yet put into the file stands beside it.
            return written_at([path, path.with_name(f"{path.name}-wal")])
        at: dt.datetime = self._value(sa.text(_NOW[self._url.get_backend_name()]))
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)

    def beginnings(self) -> Iterable[Any]:
        """The smallest beginning; of texts all of them."""
        column = self._column
        if self.is_windowed:
            asked = sa.select(sa.func.min(column)).where(sa.not_(self._is_undated()))
            yield self._in_utc(self._value(asked))
            return
        with self._told(), self._engine.connect() as connection:
            streamed = connection.execution_options(yield_per=CHUNK_ROWS)
            yield from streamed.scalars(sa.select(column))

    def read(
        self, start: dt.datetime, end: dt.datetime, *, with_undated: bool
    ) -> Iterator[list[Mapping[str, Any]]]:
        """The rows of a window as the driver makes them, instants with their offset."""
        condition = self._condition(start, end, with_undated)
        loader = TableLoader(
            self._engine,
            "sqlalchemy",
            self._table,
            {},
            chunk_size=CHUNK_ROWS,
            query_adapter_callback=lambda query, table, incremental, engine: query.where(condition),
        )
        name = self._column.name
        with self._told():
            for rows in loader.load_rows():
                if self._form == "instant":
                    for row in rows:
                        row[name] = self._in_utc(row[name])
                yield rows

    def beginning_of(self, row: Mapping[str, Any]) -> Any:
        """The column that says when a call began."""
        return row[self._column.name]

    def count(self, start: dt.datetime, end: dt.datetime, *, with_undated: bool) -> int | None:
        """What the database counts; None where it does not pick out the window."""
        if not self.is_windowed:
            return None
        condition = self._condition(start, end, with_undated)
        asked = sa.select(sa.func.count()).select_from(self._table).where(condition)
        return int(self._value(asked))

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()

    @functools.cached_property
    def _forms(self) -> Mapping[str, _Form]:
        """What stands in each column, as the database declares it."""
        with self._told():
            columns = self._columns_of_mysql() if self._is_mysql else self._reflected_columns()
        if not columns:
            raise self._error("table", "", None)
        return columns

    @functools.cached_property
    def _table(self) -> sa.Table:
        """The table; values come as the driver makes them."""
        schema, _, name = self._table_name.rpartition(".")
        # What SQLAlchemy would make of a declared type fails at the first odd value.
        columns = [sa.Column(column, sa.types.NullType()) for column in self._forms]
        return sa.Table(name, sa.MetaData(schema=schema or None), *columns)

    def _reflected_columns(self) -> Mapping[str, _Form]:
        schema, _, name = self._table_name.rpartition(".")
        found = sa.inspect(self._engine).get_columns(name, schema or None)
        if self._engine.dialect.name == "sqlite":
            # A declared type binds no value there.
            return {column["name"]: "text" for column in found}
        return {column["name"]: _form_of(column["type"]) for column in found}

    def _columns_of_mysql(self) -> Mapping[str, _Form]:
        """What SQLAlchemy asks instead needs the right SHOW VIEW for views, beside SELECT."""
        schema, _, name = self._table_name.rpartition(".")
        asked = sa.text(
            "select column_name, data_type from information_schema.columns where table_name = "
            ":name and table_schema = coalesce(:schema, database()) order by ordinal_position"
        )
        with self._engine.connect() as connection:
            found = connection.execute(asked, {"name": name, "schema": schema or None}).all()
        return {str(name): _MYSQL_FORMS.get(str(kind).lower(), "text") for name, kind in found}

    @functools.cached_property
    def _column(self) -> sa.Column[Any]:
        found = {column.name.lower(): column for column in self._table.columns}
        for name in self._beginning:
            if name.lower() in found:
                return found[name.lower()]
        raise self._missing(" or ".join(self._beginning))

    @functools.cached_property
    def _form(self) -> _Form:
        """What stands in the column that says when a call began."""
        return self._forms[self._column.name]

    def _check_columns(self) -> None:
        known = {column.name for column in self._table.columns}
        for name in self._columns:
            if name not in known:
                raise self._missing(name)
        assert self._column is not None

    def _missing(self, name: str) -> InputError:
        known = ", ".join(column.name for column in self._table.columns)
        return InputError(
            f"Table {self._table_name} of connection '{self._connection}' has no column {name}; "
            f"it has {known}. Name another table or other columns in company.toml."
        )

    def _condition(
        self, start: dt.datetime, end: dt.datetime, with_undated: bool
    ) -> sa.ColumnElement[bool]:
        column = self._column
        first, last = self._bounds(start, end)
        within = sa.and_(column >= first, column < last)
        if self._form == "text":
            # Whatever does not begin as an ISO date does is compared by the reader alone.
            return sa.or_(within, column.is_(None), column.not_like("____-__-__%"))
        return sa.or_(within, self._is_undated()) if with_undated else within

    def _bounds(self, start: dt.datetime, end: dt.datetime) -> tuple[Any, Any]:
        form = self._form
        if form == "local":
            return local_bounds(start, end, self._zone)
        if form == "seconds":
            return start.timestamp(), end.timestamp()
        if form == "instant":
            return self._bound(start), self._bound(end)
        # An offset moves a day, and the day of `end` itself may be in the window.
        return (start - 2 * _DAY).date().isoformat(), (end + 2 * _DAY).date().isoformat()

    def _bound(self, at: dt.datetime) -> dt.datetime:
        # MariaDB's instants are asked and told in the session's zone, without saying so.
        return at.astimezone(dt.UTC).replace(tzinfo=None) if self._is_mysql else at

    def _is_undated(self) -> sa.ColumnElement[bool]:
        column = self._column
        earliest: Any = EARLIEST
        latest: Any = LATEST
        if self._form == "seconds":
            earliest, latest = (at.replace(tzinfo=dt.UTC).timestamp() for at in (earliest, latest))
        return sa.or_(column.is_(None), column < earliest, column >= latest)

    @property
    def _is_mysql(self) -> bool:
        return self._url.get_backend_name() == "mysql"

    def _in_utc(self, value: Any) -> Any:
        if self._form == "instant" and isinstance(value, dt.datetime):
            return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
        return value

    def _value(self, asked: sa.Executable) -> Any:
        with self._told(), self._engine.connect() as connection:
            return connection.execute(asked).scalar()

    def _make_engine(self) -> sa.Engine:
        if self._url.get_backend_name() == "sqlite":
            return sa.create_engine(
                "sqlite://", creator=self._open_file, poolclass=sa.pool.NullPool
            )
        options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
        if self._is_mysql:
            # In its own zone, TIMESTAMP columns would come in whatever zone the server stands.
            options |= {"read_timeout": _READ_SECONDS, "init_command": "set time_zone = '+00:00'"}
        engine = sa.create_engine(self._url, connect_args=options, pool_pre_ping=True)
        sa.event.listen(engine, "do_connect", self._connect)
        return engine

    def _open_file(self) -> sqlite3.Connection:
        """The file, for reading only: an empty one must not appear where there is none."""
        address = f"file:{quote(self._url.database or '')}?mode=ro"
        made = sqlite3.connect(address, uri=True, check_same_thread=False)
        made.text_factory = text_of
        return made

    def _connect(
        self, dialect: sa.Dialect, _record: Any, arguments: Any, options: dict[str, Any]
    ) -> Any:
        """Connect, again where the network or a server that starts up may be the reason."""
        if self._is_mysql and isinstance(options.get("password"), str):
            # PyMySQL would send Latin-1, everybody else sends UTF-8.
            options["password"] = options["password"].encode()
        driver: Any = dialect.loaded_dbapi

        def is_passing(problem: BaseException) -> bool:
            cause = _cause(problem)
            return isinstance(problem, driver.Error) and cause in ("unreachable", "busy", "lost")

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(CONNECT_TRIES),
            wait=tenacity.wait_exponential(multiplier=WAIT_SECONDS),
            retry=tenacity.retry_if_exception(is_passing),
            reraise=True,
        )(driver.connect, *arguments, **options)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say what a database's error means."""
        try:
            yield
        except sa.exc.NoSuchTableError:
            raise self._error("table", "", None) from None
        except sa.exc.DBAPIError as problem:
            cause = "lost" if problem.connection_invalidated else _cause(problem.orig)
            raise self._error(cause, _code(problem.orig), problem.orig) from None

    def _error(self, cause: _Cause, code: str, problem: BaseException | None) -> RemoteError:
        said = " ".join(str(problem).split()).rstrip(".")[:300]
        remedy = _REMEDIES[cause].format(
            connection=self._connection, table=self._table_name, where=self._where, said=said
        )
        shown = self._url.render_as_string(hide_password=True)
        return RemoteError(f"{shown} {remedy}", code.lower(), is_connection_wide=True)


def database_url(access: PbxAccess) -> sa.URL:
    """The address of the database out of the secrets, with the driver that callfunnel brings.

    Raises:
        SourceError: there is none, it can't be read, or it names another kind of database.
    """
    secrets = access.secrets
    text = secrets.get("database_url")
    whose = f"Connection '{access.connection}' of company '{secrets.company}'"
    where = f"{secrets.section} in .dlt/secrets.toml"
    if not text:
        raise SourceError(
            f"{whose} has no secrets: put database_url under {where} (see "
            f".dlt/secrets.toml.example) or set {secrets.variable('database_url')}; its form is "
            f"{_FORMS}."
        )
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or "@" in (url.host or ""):
        # Not even a part of it is shown: nobody knows where its password stands.
        raise SourceError(
            f"{whose} has a database_url that is none: put one of the form {_FORMS} under {where}."
        )
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise SourceError(
            f"{whose} has a database_url for {url.drivername}, which callfunnel has no driver "
            f"for: put one of the form {_FORMS} under {where}."
        )
    if driver != "sqlite":
        return url.set(drivername=driver)
    path = (access.data_dir / (url.database or "")).resolve()
    if not path.is_file():
        raise SourceError(
            f"{whose} has a database_url with a file that is not there ({path}): put its path "
            f"under {where}, absolute with four slashes or relative to the company's data folder."
        )
    return url.set(database=str(path), query={})


def _form_of(kind: sa.types.TypeEngine[Any]) -> _Form:
    if isinstance(kind, sa.DateTime | sa.Date):
        return "instant" if getattr(kind, "timezone", False) else "local"
    return "seconds" if isinstance(kind, sa.Numeric | sa.Integer) else "text"


def _code(problem: BaseException | None) -> str:
    """The number or SQLSTATE of a driver's error; empty where it has none."""
    if problem is None:
        return ""
    state = getattr(problem, "sqlstate", None) if not _is_pymysql(problem) else None
    return str(state or (problem.args[0] if _is_pymysql(problem) and problem.args else ""))


def _is_pymysql(problem: BaseException) -> bool:
    return type(problem).__module__.startswith("pymysql")


def _cause(problem: BaseException | None) -> _Cause:
    code = _code(problem)
    if code in _CAUSES:
        return _CAUSES[code]
    words = str(problem).lower()
    return next((cause for text, cause in _WORDS if text in words), "unknown")
