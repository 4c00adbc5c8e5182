"""Which files are read, how old they are, and what their lines say."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sources.company.rules import AsteriskSection
from sources.credentials import SecretsOf
from sources.errors import InputError, SourceError
from sources.telephony.files import found_files, lines_of, written_at
from sources.telephony.reading import PbxAccess


def access(folder: Path) -> PbxAccess:
    secrets = SecretsOf("asterisk", "testco", "main")
    return PbxAccess("main", AsteriskSection(), ZoneInfo("Europe/Kyiv"), secrets, folder)


def touch(path: Path, at: float, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def test_a_pattern_finds_the_newest_first(tmp_path: Path) -> None:
    old = touch(tmp_path / "pbx" / "Master.csv.1", 1_700_000_000)
    new = touch(tmp_path / "pbx" / "Master.csv", 1_700_000_100)
    touch(tmp_path / "other" / "Master.csv", 1_700_000_200)
    assert found_files(access(tmp_path), "pbx/Master.csv*") == [new, old]
    assert found_files(access(tmp_path / "nowhere"), f"{tmp_path}/pbx/*.1") == [old]
    assert found_files(access(tmp_path), "pbx/Master.csv") == [new]


@pytest.mark.parametrize("pattern", ["Master.csv", "*.csv", "/no/such/*.csv", "pbx"])
def test_no_file_is_told_with_the_path_that_was_tried(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "pbx").mkdir()
    with pytest.raises(InputError, match=r"has no file /.*put it there, or correct `file = …`"):
        found_files(access(tmp_path), pattern)


def test_the_clock_is_the_second_after_the_newest_file(tmp_path: Path) -> None:
    files = [touch(tmp_path / "a", 1_700_000_000.25), touch(tmp_path / "b", 1_600_000_000)]
    assert written_at([*files, tmp_path / "gone"]) == dt.datetime.fromtimestamp(
        1_700_000_001, dt.UTC
    )
    ahead = dt.datetime.now(dt.UTC).timestamp() + 90_000
    assert written_at([touch(tmp_path / "c", ahead)]) <= dt.datetime.now(dt.UTC)
    with pytest.raises(SourceError, match="run again"):
        written_at([tmp_path / "gone"])


def test_lines_of_any_encoding(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes("\ufeffІван\r\n".encode() + "Иван;\0\n".encode("cp1251") + b"last")
    assert list(lines_of(plain)) == ["Іван\r\n", "Иван;\0\n", "last"]
    packed = tmp_path / "Master.csv.1.gz"
    packed.write_bytes(gzip.compress("Іван\nzwei\n".encode()))
    assert list(lines_of(packed)) == ["Іван\n", "zwei\n"]
    excel = tmp_path / "excel.csv"
    excel.write_bytes("Іван;1\r\nzwei\r\n".encode("utf-16"))
    assert list(lines_of(excel)) == ["Іван;1\r\n", "zwei\r\n"]


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"x" * 9999)[:-9], b""],
    # The bytes hold the time: processes would collect tests of different names.
    ids=["no_gzip", "cut", "empty"],
)
def test_a_broken_file_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.gz"
    path.write_bytes(data)
    if data:
        with pytest.raises(SourceError, match=r"broken\.gz cannot be read"):
            list(lines_of(path))
    else:
        assert list(lines_of(path)) == []
    with pytest.raises(SourceError, match="cannot be read"):
        list(lines_of(tmp_path / "gone.csv"))
