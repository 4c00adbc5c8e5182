"""`Master.csv` as Asterisk writes it, through real loads."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from sources.errors import InputError
from tests.support.call_databases import Pbx, make_pbx

WRITTEN = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
COUNTS = "select rows_reported, rows_received, rows_raw, rows_quarantined from load_log"


def pbx_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str = "pbx/Master.csv*") -> Pbx:
    return make_pbx(tmp_path, monkeypatch, options={"asterisk:main": {"file": file}})


@pytest.fixture
def pbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pbx:
    return pbx_of(tmp_path, monkeypatch)


def line(begun: str, *further: object, src: str = "0501112233", clid: str = "") -> str:
    """A line as `cdr_csv.c` builds it: texts in quotes, quotes doubled, numbers bare."""
    texts = ["", src, "101", "from-trunk", clid, "PJSIP/t-1", "PJSIP/101-2", "Dial", "PJSIP/101,20"]
    values = [*texts, begun, begun, begun, 90, 80, "ANSWERED", "DOCUMENTATION", *further]
    made = io.StringIO()
    csv.writer(made, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(values)
    return made.getvalue()


def write(pbx: Pbx, lines: Iterable[str | bytes], name: str = "Master.csv", age: int = 0) -> None:
    path = pbx.settings.data_dir / "pbx" / name
    path.parent.mkdir(exist_ok=True)
    data = b"".join(part if isinstance(part, bytes) else part.encode() for part in lines)
    path.write_bytes(data)
    at = WRITTEN.timestamp() - age
    os.utime(path, (at, at))


def counts(pbx: Pbx) -> list[tuple[int, ...]]:
    return pbx.raw(f"{COUNTS} order by cut_at")


def test_the_columns_of_every_setting_of_cdr_conf(pbx: Pbx) -> None:
    write(
        pbx,
        [
            line("2026-03-01 10:00:00"),
            line("2026-03-01 10:00:01", "1772352001.1"),
            line("2026-03-01 10:00:02", "vip"),
            line("2026-03-01 10:00:03", "pbx2-1772352003.3", "vip"),
            line("2026-03-01 10:00:04", "peer", "1772352004.4", 7),
            line("2026-03-01 10:00:05", "1772352005.5", "peer", "1772352005.4", 8),
            line("2026-03-01 10:00:06", "1772352006.6", "vip", "peer", "1772352006.5", 9),
        ],
    )
    pbx.load()
    rows = pbx.raw(
        "select calldate, uniqueid, userfield, peeraccount, linkedid, sequence, row_key "
        "from asterisk_cdr order by calldate"
    )
    eight = dt.datetime(2026, 3, 1, 8)
    tail = "PJSIP/t-1/PJSIP/101-2/101"
    assert rows == [
        (eight, None, None, None, None, None, f"2026-03-01 10:00:00/{tail}"),
        (
            *(eight + dt.timedelta(seconds=1), "1772352001.1", None, None, None, None),
            f"1772352001.1/2026-03-01 10:00:01/{tail}",
        ),
        (
            *(eight + dt.timedelta(seconds=2), None, "vip", None, None, None),
            f"2026-03-01 10:00:02/{tail}",
        ),
        (
            *(eight + dt.timedelta(seconds=3), "pbx2-1772352003.3", "vip", None, None, None),
            f"pbx2-1772352003.3/2026-03-01 10:00:03/{tail}",
        ),
        (
            *(eight + dt.timedelta(seconds=4), None, None, "peer", "1772352004.4", 7),
            f"2026-03-01 10:00:04/{tail}",
        ),
        (
            *(eight + dt.timedelta(seconds=5), "1772352005.5", None, "peer", "1772352005.4", 8),
            "1772352005.5/8",
        ),
        (
            *(eight + dt.timedelta(seconds=6), "1772352006.6", "vip", "peer", "1772352006.5", 9),
            "1772352006.6/9",
        ),
    ]
    assert pbx.raw(
        "select distinct src, dst, dcontext, lastapp, lastdata, duration::int, billsec::int, "
        "disposition, amaflags, (extra ->> 'answer') = (extra ->> 'end') from asterisk_cdr"
    ) == [
        (
            *("0501112233", "101", "from-trunk", "Dial", "PJSIP/101,20", 90, 80),
            *("ANSWERED", "DOCUMENTATION", True),
        )
    ]
    assert counts(pbx) == [(7, 7, 7, 0)]


def test_rotated_files_are_read_too_and_the_next_load_reads_the_last_days(pbx: Pbx) -> None:
    write(pbx, [line("2026-02-01 10:00:00", "1.1", "")], "Master.csv.1", age=90_000)
    write(pbx, [line("2026-03-01 10:00:00", "1.2", "")], age=60)
    pbx.load()
    write(
        pbx,
        [line("2026-03-01 10:00:00", "1.2", "changed"), line("2026-03-02 13:00:00", "1.3", "")],
    )
    pbx.load()
    assert pbx.raw("select uniqueid, userfield from asterisk_cdr order by 1") == [
        ("1.1", ""),
        ("1.2", "changed"),
        ("1.3", ""),
    ]
    assert counts(pbx) == [(2, 2, 2, 0), (2, 2, 2, 0)]


def test_a_line_that_is_being_written_waits(pbx: Pbx) -> None:
    whole = line("2026-03-02 13:59:00", "1.2", "")
    write(pbx, [line("2026-03-02 13:58:00", "1.1", ""), whole[:60]], age=10)
    pbx.load()
    write(pbx, [line("2026-03-02 13:58:00", "1.1", ""), whole])
    pbx.load()
    assert pbx.raw("select uniqueid from asterisk_cdr order by 1") == [("1.1",), ("1.2",)]
    assert pbx.raw("select count(*) from quarantine") == [(0,)]
    assert counts(pbx)[0] == (1, 1, 1, 0)


def test_calls_after_the_last_writing_wait(pbx: Pbx) -> None:
    write(pbx, [line("2026-03-02 14:00:00", "1.1", ""), line("2026-03-02 14:00:01", "1.2", "")])
    pbx.load()
    assert pbx.raw("select uniqueid from asterisk_cdr") == [("1.1",)]


def test_rubbish_goes_to_the_quarantine_and_the_rest_is_read(pbx: Pbx) -> None:
    write(
        pbx,
        [
            line("2026-03-01 10:00:00", "1.1", "", clid='"Иван ""О\'Нил"""').encode("cp1251"),
            'rubbish with a stray "quote\n',
            line("2026-03-01 10:00:01", "1.2", "", clid="\0"),
            line("some day", "1.3", ""),
            "\n",
            line("2026-03-01 10:00:02", "1.4", "", clid="Іван"),
            "1,2,3\n",
        ],
    )
    pbx.load()
    pbx.load()
    assert pbx.raw("select uniqueid, clid from asterisk_cdr order by 1") == [
        ("1.1", '"Иван ""О\'Нил"""'),
        ("1.2", "\0"),
        ("1.4", "Іван"),
    ]
    assert pbx.raw("select reason from quarantine order by 1") == [
        ("calldate: 'some day' is not a date",),
        ("calldate: is missing",),
        ("calldate: is missing",),
    ]
    assert counts(pbx)[0] == (6, 6, 3, 3)


def test_a_year_that_is_longer_than_a_window_counts_each_row_once(pbx: Pbx) -> None:
    begun = [dt.date(2022, 1, 1) + dt.timedelta(days=10 * number) for number in range(150)]
    lines = [line(f"{day} 10:00:00", f"1.{number}", "") for number, day in enumerate(begun)]
    write(pbx, [*lines, "rubbish\n"])
    pbx.load()
    assert counts(pbx) == [(151, 151, 150, 1)]


def test_an_empty_file_is_a_load_without_rows(pbx: Pbx) -> None:
    write(pbx, [])
    assert pbx.load().problems == ()
    assert pbx.raw("select count(*) from asterisk_cdr") == [(0,)]


def test_a_missing_file_is_told_when_the_connection_is_made(pbx: Pbx) -> None:
    with pytest.raises(InputError, match=r"has no file .*Master\.csv"):
        pbx.load()
