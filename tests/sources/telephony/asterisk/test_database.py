"""Call detail records out of MariaDB, PostgreSQL and SQLite, through real loads."""

from __future__ import annotations

import datetime as dt
import gc
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sources.errors import SourceError
from sources.telephony import databases
from tests.support.call_databases import (
    FULL_COLUMNS,
    OLD_COLUMNS,
    CallDatabase,
    MakeDatabase,
    Pbx,
    leg,
    make_pbx,
)

KYIV = ZoneInfo("Europe/Kyiv")
LEGS = "select uniqueid, sequence, billsec, disposition from asterisk_cdr order by 1, 2"
COUNTS = "select rows_reported, rows_received, rows_raw, rows_quarantined from load_log"


@pytest.fixture
def pbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pbx:
    return make_pbx(tmp_path, monkeypatch)


@pytest.fixture
def now() -> dt.datetime:
    """The wall clock of the PBX."""
    return dt.datetime.now(KYIV).replace(tzinfo=None, microsecond=0)


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


def last_counts(pbx: Pbx) -> tuple[int, ...]:
    return tuple(pbx.raw(f"{COUNTS} order by cut_at desc limit 1")[0])


def test_every_database_gives_the_same_raw_rows(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: dt.datetime
) -> None:
    rows = [
        leg("1700000000.1", now - hours(400 * 24), sequence=1, clid='"Іван О\'Ніл" <0501112233>'),
        leg("1700000000.1", now - hours(400 * 24), sequence=2, dstchannel="PJSIP/102-3", billsec=0),
        leg("1700000001.5", now - hours(30), sequence=9, linkedid="1700000001.4", did="380441234"),
        leg("1700000001.5", now - hours(30), sequence=10, cnam='quote " comma , 100 %', amaflags=3),
        leg("1700000002.7", now - hours(1), sequence=11, recordingfile="q-1.wav", userfield="\\"),
    ]
    received = {}
    for kind in ("mariadb", "postgresql", "sqlite"):
        database = make_database(kind)
        database.create(FULL_COLUMNS)
        database.insert(*rows)
        pbx = make_pbx(tmp_path / kind, monkeypatch)
        pbx.set_url(database.url)
        load = pbx.load()
        assert load.problems == ()
        assert last_counts(pbx) == (5, 5, 5, 0)
        received[kind] = pbx.raw(
            "select * exclude (received_at, _dlt_load_id) from asterisk_cdr order by row_key"
        )
    assert received["mariadb"] == received["postgresql"] == received["sqlite"]
    names = [name for name in FULL_COLUMNS if name not in ("calldate",)]
    found = pbx.raw(f"select {', '.join(names)} from asterisk_cdr order by calldate, sequence")
    defaults = {name: 0 if kind.startswith("int") else "" for name, kind in FULL_COLUMNS.items()}
    assert found == [
        tuple(
            str(value) if name == "amaflags" else value
            for name in names
            for value in [(defaults | row)[name]]
        )
        for row in rows
    ]
    begun = pbx.raw("select calldate from asterisk_cdr order by calldate, sequence")
    assert [at for (at,) in begun] == [
        row["calldate"].replace(tzinfo=KYIV).astimezone(dt.UTC).replace(tzinfo=None) for row in rows
    ]


def test_the_next_load_reads_the_last_days_again(
    database: CallDatabase, pbx: Pbx, now: dt.datetime
) -> None:
    database.create(FULL_COLUMNS)
    database.insert(
        leg("1.1", now - hours(10 * 24), sequence=1),
        leg("1.2", now - hours(48), sequence=2),
        leg("1.3", now - hours(2), sequence=3, disposition="NO ANSWER", billsec=0),
    )
    pbx.set_url(database.url)
    pbx.load()
    database.insert(
        leg("1.2", now - hours(47), sequence=4),
        leg("1.4", now - hours(9 * 24), sequence=5),
        leg("1.5", now - hours(1), sequence=6),
    )
    database.execute("update cdr set disposition = 'ANSWERED', billsec = 7 where sequence = 3")
    pbx.load()
    assert pbx.raw(LEGS) == [
        ("1.1", 1, 80, "ANSWERED"),
        ("1.2", 2, 80, "ANSWERED"),
        ("1.2", 4, 80, "ANSWERED"),
        ("1.3", 3, 7, "ANSWERED"),
        ("1.5", 6, 80, "ANSWERED"),
    ]
    assert last_counts(pbx) == (4, 4, 4, 0)


def test_a_back_fill_brings_what_is_older_than_the_last_days(
    database: CallDatabase, pbx: Pbx, now: dt.datetime
) -> None:
    database.create(FULL_COLUMNS)
    database.insert(leg("1.1", now - hours(20 * 24), sequence=1))
    pbx.set_url(database.url)
    pbx.load()
    database.insert(
        leg("1.2", now - hours(10 * 24), sequence=2), leg("1.3", now - hours(8 * 24), sequence=3)
    )
    pbx.load()
    assert [row[0] for row in pbx.raw(LEGS)] == ["1.1"]
    start = (now - hours(11 * 24)).replace(tzinfo=KYIV)
    assert pbx.backfill(start, start + hours(48)) == {"cdr": 1}
    assert [row[0] for row in pbx.raw(LEGS)] == ["1.1", "1.2"]


def test_calls_after_the_servers_clock_wait(
    database: CallDatabase, pbx: Pbx, now: dt.datetime
) -> None:
    database.create(FULL_COLUMNS)
    database.insert(
        leg("1.1", now - hours(0.1), sequence=1), leg("1.2", now + hours(0.5), sequence=2)
    )
    pbx.set_url(database.url)
    pbx.load()
    assert [row[0] for row in pbx.raw(LEGS)] == ["1.1"]
    assert last_counts(pbx) == (1, 1, 1, 0)


def test_an_old_table_has_keys_without_a_sequence(
    database: CallDatabase, pbx: Pbx, now: dt.datetime
) -> None:
    database.create(OLD_COLUMNS)
    twin = leg("1.1", now - hours(3), dstchannel="SIP/102-7", dst="102", billsec=0)
    database.insert(leg("1.1", now - hours(3)), twin, twin, leg("", now - hours(2)))
    pbx.set_url(database.url)
    pbx.load()
    pbx.load()
    rows = pbx.raw("select row_key, uniqueid, linkedid, did from asterisk_cdr order by row_key")
    begun = [f"{now - hours(ago):%Y-%m-%d %H:%M:%S}" for ago in (3, 2)]
    assert sorted(rows) == sorted(
        [
            (f"1.1/{begun[0]}/PJSIP/trunk-1/PJSIP/101-2/101", "1.1", None, None),
            (f"1.1/{begun[0]}/PJSIP/trunk-1/SIP/102-7/102", "1.1", None, None),
            (f"{begun[1]}/PJSIP/trunk-1/PJSIP/101-2/101", "", None, None),
        ]
    )
    # Of two rows that say the very same leg, one is kept and one is reported.
    assert last_counts(pbx) == (3, 3, 3, 0)


def test_rows_that_cannot_be_read_go_to_the_quarantine(
    database: CallDatabase, pbx: Pbx, now: dt.datetime
) -> None:
    database.create(FULL_COLUMNS | {"duration": "varchar(20)", "further": "varchar(20)"})
    database.insert(
        leg("1.1", now - hours(3), sequence=1, further="kept"),
        leg("1.2", now - hours(3), sequence=2, duration="ninety"),
        leg("1.3", None, sequence=3),
    )
    pbx.set_url(database.url)
    pbx.load()
    pbx.load()
    assert [row[0] for row in pbx.raw(LEGS)] == ["1.1"]
    assert pbx.raw("select extra ->> 'further' from asterisk_cdr") == [("kept",)]
    assert pbx.raw("select reason from quarantine order by 1") == [
        ("calldate: is missing",),
        ("duration: 'ninety' is not a number",),
    ]
    assert last_counts(pbx) == (3, 3, 1, 2)


def test_an_empty_table_is_a_load_without_rows(database: CallDatabase, pbx: Pbx) -> None:
    database.create(FULL_COLUMNS)
    pbx.set_url(database.url)
    assert pbx.load().problems == ()
    assert pbx.raw("select count(*) from asterisk_cdr") == [(0,)]


def test_many_rows_come_in_pieces_and_windows(
    database: CallDatabase,
    pbx: Pbx,
    now: dt.datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "CHUNK_ROWS", 7)
    monkeypatch.setattr(databases, "SLICE_DAYS", 2)
    database.create(FULL_COLUMNS)
    database.insert(*(leg(f"1.{n}", now - hours(n), sequence=n) for n in range(1, 121)))
    pbx.set_url(database.url)
    pbx.load()
    assert pbx.raw("select count(*), min(sequence), max(sequence) from asterisk_cdr") == [
        (120, 1, 120)
    ]
    assert last_counts(pbx) == (120, 120, 120, 0)


def test_connections_and_companies_keep_apart(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: dt.datetime
) -> None:
    names = ("asterisk:main", "asterisk:branch")
    companies = [
        make_pbx(tmp_path / name, monkeypatch, names, name=name) for name in ("one", "two")
    ]
    expected = {}
    for pbx in companies:
        for connection in names:
            database = make_database("sqlite")
            database.create(FULL_COLUMNS)
            whose = f"{pbx.settings.company} {connection}"
            database.insert(leg("1.1", now - hours(2), sequence=1, userfield=whose))
            pbx.set_url(database.url, connection)
            expected[whose] = connection
            pbx.load(connection)
    found = {
        whose: key
        for pbx in companies
        for key, whose in pbx.raw("select source_key, userfield from asterisk_cdr")
    }
    assert found == expected
    assert companies[0].raw("select count(*) from asterisk_cdr") == [(2,)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_connection_lost_while_reading_is_no_load(
    kind: str,
    make_database: MakeDatabase,
    pbx: Pbx,
    now: dt.datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "CHUNK_ROWS", 10)
    database = make_database(kind)
    database.create(FULL_COLUMNS | {"lastdata": "text"})
    database.insert(
        *(leg(f"1.{n}", now - hours(n), sequence=n, lastdata="x" * 60_000) for n in range(1, 301))
    )
    pbx.set_url(database.url)
    load_rows = databases.TableLoader.load_rows

    def cut_off(loader: databases.TableLoader) -> object:
        for number, piece in enumerate(load_rows(loader)):
            if number == 1:
                kill_readers(database)
            yield piece

    with monkeypatch.context() as patched:
        patched.setattr(databases.TableLoader, "load_rows", cut_off)
        with pytest.raises(SourceError, match="broke off while cdr was read"):
            pbx.load()
        # What PyMySQL has left of the answer complains while it is thrown away.
        gc.collect()
    pbx.load()
    assert pbx.raw("select count(*) from asterisk_cdr") == [(300,)]
    assert pbx.raw("select count(*) from load_log") == [(1,)]


def kill_readers(database: CallDatabase) -> None:
    with database.engine.connect() as connection:
        if database.kind == "postgresql":
            connection.exec_driver_sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'"
            )
        else:
            connection.exec_driver_sql("kill user reader@'127.0.0.1'")


@pytest.mark.parametrize(
    ("zone", "first", "second"),
    [
        ("Europe/Kyiv", "2025-10-26 00:{:02}:00+00:00", "2025-10-26 01:{:02}:00+00:00"),
        ("America/New_York", "2025-11-02 05:{:02}:00+00:00", "2025-11-02 06:{:02}:00+00:00"),
    ],
)
def test_the_night_when_clocks_are_put_back(
    zone: str,
    first: str,
    second: str,
    make_database: MakeDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A load every 20 minutes of both hours: each call arrives, under its wall-clock time."""
    pbx = make_pbx(
        tmp_path, monkeypatch, zone=zone, options={"asterisk:main": {"trailing_days": 0}}
    )
    database = make_database("sqlite")
    database.create(FULL_COLUMNS)
    pbx.set_url(database.url)
    path = Path(database.url.removeprefix("sqlite:///"))
    begun = [
        dt.datetime.fromisoformat(hour.format(minute))
        for hour in (first, second)
        for minute in (5, 25, 45)
    ]
    for number, at in enumerate(begun, 1):
        wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        database.insert(leg(f"1.{number}", wall, sequence=number))
        written = (at + dt.timedelta(minutes=15)).timestamp()
        os.utime(path, (written, written))
        pbx.load()
    rows = pbx.raw("select sequence, calldate from asterisk_cdr order by 1")
    # Of the two instants of a time on the wall clock, raw takes the first.
    assert rows == [
        (number, begun[(number - 1) % 3].replace(tzinfo=None)) for number in range(1, 7)
    ]


def test_the_night_when_clocks_are_put_forward(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = make_pbx(tmp_path, monkeypatch, options={"asterisk:main": {"trailing_days": 0}})
    database = make_database("sqlite")
    database.create(FULL_COLUMNS)
    pbx.set_url(database.url)
    path = Path(database.url.removeprefix("sqlite:///"))
    for number in range(1, 6):
        at = dt.datetime(2026, 3, 29, 0, 10, tzinfo=dt.UTC) + dt.timedelta(minutes=20 * number)
        wall = at.astimezone(KYIV).replace(tzinfo=None)
        database.insert(leg(f"1.{number}", wall, sequence=number))
        written = at.timestamp() + 600
        os.utime(path, (written, written))
        pbx.load()
    assert pbx.raw("select count(*), max(calldate) from asterisk_cdr") == [
        (5, dt.datetime(2026, 3, 29, 1, 50))
    ]
