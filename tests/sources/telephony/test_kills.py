"""A first load in several packages, and the load after it, killed anywhere: nothing is lost."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import PROJECT_DIR
from sources.demo.telephony.calls import invented_calls
from sources.demo.telephony.uis import UisStandIn
from sources.loading import ConnectionLoad, load_connection
from sources.pipelines import make_pipeline
from sources.telephony import windows
from sources.telephony.connector import PbxConnector
from tests.support.faults.deaths import die_at
from tests.support.telephony import reader_of

START = dt.datetime(2026, 3, 24, tzinfo=dt.UTC)
DAYS, CALLS_PER_DAY = 12, 20
NOON = START + dt.timedelta(days=DAYS, hours=12)
PACKAGE_ROWS = 60
"""Three of four days, so that a first load takes several packages."""

_TABLES = ("uis_calls", "uis_call_legs")
_READER = "sources.telephony.windows:WindowReader"
_PIPELINE, _LOAD = "dlt.pipeline.pipeline:Pipeline", "dlt.load.load:Load"
DEATHS = {
    "while the first package is read": (f"{_READER}._slice", 2, "after"),
    "between the packages": (f"{_LOAD}.complete_package", 2, "after"),
    "while a later package is read": (f"{_READER}._slice", 9, "after"),
    "when a later package's cursors are saved": (f"{_PIPELINE}._save_state", 4, "after"),
    "before the books": ("sources.loading:_close", 1, "before"),
}


@dataclass
class Exchange:
    """A stand-in of UIS on loopback, and a folder for the warehouse."""

    folder: Path
    address: str

    def load(self) -> ConnectionLoad:
        stand_in = UisStandIn([], NOON)
        reader = reader_of("uis", stand_in, self.address)
        reader.slice_days = 1
        pipeline = make_pipeline(
            "uis", "main", warehouse=self.folder / "warehouse.duckdb",
            pipelines_dir=self.folder / "dlt",
        )  # fmt: skip
        connector = PbxConnector(reader, "uis", "main", windows.Windows(first_at=START))
        return load_connection(pipeline, connector)

    def rows(self) -> dict[str, list[Any]]:
        found = {}
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as warehouse:
            for table in _TABLES:
                query = f"select * exclude (_dlt_load_id, received_at) from raw_telephony.{table}"
                found[table] = sorted(warehouse.execute(query).fetchall(), key=repr)
        return found

    def loads_count(self) -> int:
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as warehouse:
            row = warehouse.execute(
                "select count(distinct cut_at) from raw_telephony.load_log"
            ).fetchone()
        return int(row[0]) if row else 0


def load_and_die(folder: str, address: str, place: str, nth: int, when: str) -> None:
    """Run in a process of its own."""
    windows.ROWS_PER_PACKAGE = PACKAGE_ROWS
    die_at(place, nth, when)
    Exchange(Path(folder), address).load()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with UisStandIn(invented_calls(START, DAYS, CALLS_PER_DAY), NOON).served() as served:
        yield served


@pytest.fixture(scope="module")
def whole(address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    exchange = Exchange(tmp_path_factory.mktemp("whole"), address)
    exchange.load()
    return exchange.rows()


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(death, marks=[] if place % 2 else [pytest.mark.long])
        for place, death in enumerate(DEATHS)
    ],
)
def test_a_first_load_that_dies_goes_on_and_loses_nothing(
    address: str,
    whole: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    death: str,
) -> None:
    monkeypatch.setattr(windows, "ROWS_PER_PACKAGE", PACKAGE_ROWS)
    exchange = Exchange(tmp_path, address)
    told = (str(tmp_path), address, *DEATHS[death])
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from tests.sources.telephony.test_kills import load_and_die; load_and_die{told!r}",
        ],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr[-2000:] or "it survived"
    if (tmp_path / "warehouse.duckdb").exists():
        assert exchange.loads_count() == 0, "a load that died counts"
    exchange.load()
    assert exchange.rows() == whole
    assert len(whole["uis_calls"]) == DAYS * CALLS_PER_DAY
