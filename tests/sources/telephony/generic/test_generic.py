"""Any table of calls: csv, Parquet and databases with the company's own columns."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.errors import CallfunnelError, InputError
from tests.support.call_databases import CallDatabase, Pbx, make_pbx

WRITTEN = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
COLUMNS = {
    "call_id": "uid",
    "started_at": "begun",
    "direction": "way",
    "client_phone": "phone",
    "wait_seconds": "wait",
    "talk_seconds": "talk",
    "talker_name": "who",
}
HEADER = "uid;begun;way;phone;wait;talk;who;note"
CALLS = (
    "select id, started_at, direction, client_phone, wait_seconds::double, talk_seconds::double, "
    "talker_name, extra ->> 'note' from generic_calls order by id"
)
COUNTS = "select rows_reported, rows_received, rows_raw, rows_quarantined from load_log"


def pbx_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> Pbx:
    options = {"generic:main": {"columns": COLUMNS, **rules}}
    return make_pbx(tmp_path, monkeypatch, ["generic:main"], options=options)


@pytest.fixture
def pbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pbx:
    return pbx_of(tmp_path, monkeypatch, file="calls*.csv", separator=";")


def write(pbx: Pbx, *lines: str, name: str = "calls.csv", age: int = 0) -> Path:
    path = pbx.settings.data_dir / name
    path.write_bytes("\n".join(lines).encode())
    at = WRITTEN.timestamp() - age
    os.utime(path, (at, at))
    return path


def load(pbx: Pbx) -> None:
    assert pbx.load("generic:main").problems == ()


def test_a_csv_file_by_the_companys_columns(pbx: Pbx) -> None:
    write(
        pbx,
        HEADER,
        'a1;2026-03-01 10:00:00;in;+380 50 111;5;00:01:23;Іван;"two\nlines; here"',
        "a2;01.03.2026 10:00;out;050;0:07;12.5;;",
        "a3;1772359200;in;;;1:00:00;O'Neil;x",
        " a4 ;2026-03-01T10:00:00+00:00;in;050; 3 ;90;;",
    )
    load(pbx)
    eight = dt.datetime(2026, 3, 1, 8)
    assert pbx.raw(CALLS) == [
        ("a1", eight, "in", "+380 50 111", 5, 83, "Іван", "two\nlines; here"),
        ("a2", eight, "out", "050", 7, 12.5, "", ""),
        ("a3", dt.datetime(2026, 3, 1, 10), "in", "", None, 3600, "O'Neil", "x"),
        ("a4", dt.datetime(2026, 3, 1, 10), "in", "050", 3, 90, "", ""),
    ]
    assert pbx.raw(COUNTS) == [(4, 4, 4, 0)]


def test_rows_that_cannot_be_read_go_to_the_quarantine(pbx: Pbx) -> None:
    write(
        pbx,
        HEADER,
        ";2026-03-01 10:00:00;in;050;1;1;;",
        "a2;no date;in;050;1;1;;",
        "a3;;in;050;1;1;;",
        "a4;2026-03-01 10:00:00;in;050;soon;1;;",
        "a5;2026-03-01 10:00:00;in;050;1;1;;;;more",
        "a6;2026-03-01 10:00:00",
        ";2026-03-01 10:00:00;in;050;1;1;;",
    )
    load(pbx)
    assert pbx.raw("select id, extra ->> '$.surplus[1]' from generic_calls order by 1") == [
        ("a5", "more"),
        ("a6", None),
    ]
    assert pbx.raw("select reason from quarantine order by 1") == [
        ("id: is missing",),
        ("started_at: 'no date' is not a date",),
        ("started_at: is missing",),
        ("wait_seconds: 'soon' is not a number",),
    ]
    reported, _, raw, quarantined = pbx.raw(COUNTS)[0]
    assert reported == raw + quarantined


def test_of_two_exports_the_newer_counts(pbx: Pbx) -> None:
    write(pbx, HEADER, "a1;2026-03-01 10:00:00;in;1;1;1;;old", name="calls_1.csv", age=100)
    write(
        pbx,
        HEADER,
        "a1;2026-03-01 10:00:00;in;1;1;1;;new",
        "a2;2026-03-02 13:59:00;in;1;1;1;;",
        "a3;2026-03-02 14:01:00;in;1;1;1;;after the file was written",
        name="calls_2.csv",
    )
    load(pbx)
    assert pbx.raw("select id, extra ->> 'note' from generic_calls order by 1") == [
        ("a1", "new"),
        ("a2", ""),
    ]
    assert pbx.raw(COUNTS) == [(2, 2, 2, 0)]


def test_a_column_that_is_called_like_ours_is_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = pbx_of(tmp_path, monkeypatch, file="calls.csv")
    header = "uid,begun,way,phone,wait,talk,who,id,result"
    write(pbx, header, "a1,2026-03-01 10:00:00,in,1,1,1,,77,fine")
    load(pbx)
    assert pbx.raw(
        "select id, result, extra ->> 'id_', extra ->> 'result_' from generic_calls"
    ) == [("a1", None, "77", "fine")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["uid;begun;way;phone;wait;who", "a;b;c;d;e;f"],
            "calls.csv has no column talk, which company.toml names for talk_seconds; it has uid, "
            "begun, way, phone, wait, who.",
        ),
        ([HEADER.replace(";", ",")], "has no column uid, which company.toml names for call_id"),
        ([""], "it has nothing at all"),
        ([HEADER, 'a1;"' + "x\n" * 80_000], "look for a quotation mark that is never closed"),
    ],
)
def test_a_file_of_another_form_is_told(pbx: Pbx, lines: list[str], said: str) -> None:
    write(pbx, *lines)
    with pytest.raises(InputError) as caught:
        pbx.load("generic:main")
    assert said in str(caught.value)


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pbx = pbx_of(tmp_path, monkeypatch, file="calls.parquet")
    at = dt.datetime(2026, 3, 1, 10)
    columns = {
        "uid": [1, 2, 3],
        "way": ["in", "out", None],
        "phone": [380501112233.0, None, 380501112234.0],
        "wait": [1, 2, None],
        "talk": ["00:01:00", "7", None],
        "who": ["a", "b", "c"],
        "note": [None, "n", ""],
    }
    path = pbx.settings.data_dir / "calls.parquet"
    for kind, utc in [
        (pa.timestamp("ns"), at - dt.timedelta(hours=2)),
        (pa.timestamp("us", "Asia/Tokyo"), at),
        (pa.timestamp("ms", "UTC"), at),
        (pa.int64(), at),
        (pa.string(), at - dt.timedelta(hours=2)),
    ]:
        aware = at.replace(tzinfo=dt.UTC)
        value = {"int64": int(aware.timestamp()), "string": "01.03.2026 10:00:00"}.get(
            str(kind), aware if getattr(kind, "tz", None) else at
        )
        begun = pa.array([value, value, None], kind)
        pq.write_table(pa.table(columns).append_column("begun", begun), path)
        os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
        load(pbx)
        assert pbx.raw("select id, started_at, client_phone from generic_calls order by id") == [
            ("1", utc, "380501112233"),
            ("2", utc, None),
        ]
    assert pbx.raw("select distinct reason from quarantine") == [("started_at: is missing",)]


def test_what_is_no_parquet_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pbx = pbx_of(tmp_path, monkeypatch, file="calls.parquet")
    write(pbx, "PAR?", name="calls.parquet")
    with pytest.raises(InputError, match=r"calls\.parquet cannot be read as Parquet"):
        pbx.load("generic:main")


def test_a_table_of_a_database(
    database: CallDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = pbx_of(tmp_path, monkeypatch, table="v_calls")
    interval = {"mariadb": "time", "postgresql": "interval", "sqlite": "text"}[database.kind]
    database.create(
        {
            "uid": "int",
            "begun": "datetime",
            "way": "varchar(10)",
            "phone": "varchar(20)",
            "wait": "decimal(10,2)",
            "talk": interval,
            "who": "varchar(20)",
            "note": "varchar(20)",
        },
        table="calls",
    )
    database.execute("create view v_calls as select * from calls")
    now = dt.datetime.now(ZoneInfo("Europe/Kyiv")).replace(tzinfo=None, microsecond=0)
    row = {"way": "in", "phone": "050", "wait": 1.5, "talk": "00:01:23", "who": "Іван"}
    ago = [now - dt.timedelta(hours=hours) for hours in (1000, 50, 1)]
    database.insert(
        *({"uid": number, "begun": at, **row} for number, at in enumerate(ago, 1)), table="calls"
    )
    pbx.set_url(database.url, "generic:main")
    load(pbx)
    utc = [
        at.replace(tzinfo=ZoneInfo("Europe/Kyiv")).astimezone(dt.UTC).replace(tzinfo=None)
        for at in ago
    ]
    assert pbx.raw(CALLS) == [
        (str(number), at, "in", "050", 1.5, 83, "Іван", None) for number, at in enumerate(utc, 1)
    ]
    database.execute("update calls set who = 'Anna' where uid < 3")
    load(pbx)
    assert pbx.raw("select id, talker_name from generic_calls order by 1") == [
        ("1", "Іван"),
        ("2", "Anna"),
        ("3", "Іван"),
    ]
    assert pbx.raw(f"{COUNTS} order by cut_at") == [(3, 3, 3, 0), (2, 2, 2, 0)]


def test_a_table_that_lacks_a_column(
    database: CallDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = pbx_of(tmp_path, monkeypatch, table="calls")
    database.create({"uid": "int", "begun": "datetime", "way": "varchar(10)"}, table="calls")
    pbx.set_url(database.url, "generic:main")
    with pytest.raises(
        CallfunnelError, match=r"Table calls .* has no column phone; it has uid, be"
    ):
        pbx.load("generic:main")


def test_a_back_fill_reads_files_too(pbx: Pbx) -> None:
    write(pbx, HEADER, "a2;2026-03-01 10:00:00;in;1;1;1;;", age=60)
    load(pbx)
    write(pbx, HEADER, "a1;2026-01-01 10:00:00;in;1;1;1;;", "a2;2026-03-01 10:00:00;in;1;1;1;;")
    load(pbx)
    assert pbx.raw("select id from generic_calls") == [("a2",)]
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert pbx.backfill(start, start + dt.timedelta(days=1), "generic:main") == {"calls": 1}
    assert pbx.raw("select id from generic_calls order by 1") == [("a1",), ("a2",)]
