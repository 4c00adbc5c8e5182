"""A whole load of each provider into a warehouse: rows, bookkeeping, quarantine, increments."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from sources.demo.telephony.calls import a_call, invented_calls
from sources.demo.telephony.providers import STAND_INS
from sources.demo.telephony.stand_in import PbxStandIn
from sources.errors import SourceError
from sources.loading import ConnectionLoad, load_connection
from sources.pipelines import make_pipeline
from sources.telephony.connector import PbxConnector
from sources.telephony.providers import TABLES
from sources.telephony.windows import Windows
from tests.support.telephony import EXPECTED, expected, reader_of

pytestmark = pytest.mark.scattered

START = dt.datetime(2026, 3, 24, tzinfo=dt.UTC)
DAYS = 9
NOON = START + dt.timedelta(days=DAYS, hours=12)
DAY = dt.timedelta(days=1)
KYIV = ZoneInfo("Europe/Kyiv")


class Telephony:
    """A provider on loopback and a warehouse."""

    def __init__(self, system: str, folder: Path, stand_in: PbxStandIn) -> None:
        self.system = system
        self.folder = folder
        self.stand_in = stand_in

    def load(self, secrets: dict[str, str] | None = None) -> ConnectionLoad:
        pipeline = make_pipeline(
            self.system,
            "main",
            warehouse=self.folder / "warehouse.duckdb",
            pipelines_dir=self.folder / "dlt",
        )
        self.stand_in.asked.clear()
        with self.stand_in.served() as address:
            reader = reader_of(self.system, self.stand_in, address, secrets)
            windows = Windows(first_at=START.astimezone(KYIV))
            connector = PbxConnector(reader, self.system, "main", windows)
            return load_connection(pipeline, connector)

    def query(self, sql: str) -> list[Any]:
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            return warehouse.execute(sql.replace("raw.", "raw_telephony.")).fetchall()

    def rows(self, table: str) -> list[tuple[str, dt.datetime]]:
        identity, began, _ = EXPECTED[table]
        found = self.query(f'select "{identity}"::varchar, "{began}" from raw.{table}')
        return sorted((key, at.astimezone(dt.UTC)) for key, at in found)


@pytest.mark.parametrize("system", sorted(STAND_INS))
def test_a_provider_is_loaded_whole_and_then_from_some_days_before_the_last_load(
    system: str, tmp_path: Path
) -> None:
    calls = invented_calls(START, DAYS, 12)
    garbled = a_call(500, NOON - 2 * DAY, is_garbled=True)
    stand_in = STAND_INS[system]([*calls, garbled], NOON, KYIV)
    telephony = Telephony(system, tmp_path, stand_in)
    tables = TABLES[system]

    done = telephony.load()
    assert done.cut_at == NOON
    for table in tables:
        assert telephony.rows(table.raw.name) == expected(table.raw.name, calls)
    for entity in done.entities:
        assert entity.rows_received == entity.rows_raw + len([garbled])
        # Of the six only UIS counts.
        assert entity.rows_reported == (entity.rows_received if system == "uis" else None)
        assert entity.complete_up_to == NOON
        assert entity.problem is None
    # Both the session and its leg, of UIS.
    refused = telephony.query("select entity, reason, payload from raw.quarantine")
    assert sorted(entity for entity, _, _ in refused) == sorted(table.entity for table in tables)
    for _, reason, payload in refused:
        assert tables[0].started in reason
        assert "out of order" in json.dumps(json.loads(payload))

    # A call of long ago that nobody reads again, and three that are new.
    late = [
        a_call(901, NOON - 2 * DAY, wait_seconds=3),
        a_call(902, NOON + DAY / 2, extensions=("101", "102")),
        a_call(903, NOON + 0.9 * DAY, outcome="missed"),
    ]
    stand_in.calls = [*calls, garbled, a_call(900, START), *late]
    stand_in.clock = NOON + DAY
    done = telephony.load()
    for table in tables:
        assert telephony.rows(table.raw.name) == expected(table.raw.name, [*calls, *late])
    assert {entity.complete_up_to for entity in done.entities} == {NOON + DAY}
    log = telephony.query("select entity, count(*), max(cut_at) from raw.load_log group by entity")
    assert sorted((name, count) for name, count, _ in log) == sorted(
        (table.entity, 2) for table in tables
    )
    assert {cut.astimezone(dt.UTC) for _, _, cut in log} == {NOON + DAY}


def test_a_load_with_wrong_keys_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    stand_in = STAND_INS["binotel"](invented_calls(START, 2, 5), NOON)
    telephony = Telephony("binotel", tmp_path, stand_in)
    with pytest.raises(SourceError, match="refused the access of connection 'main'"):
        telephony.load({"secret": "wrong"})
    assert telephony.query("select count(*) from raw.load_log") == [(0,)]


def test_a_count_that_does_not_agree_fails_the_load(tmp_path: Path) -> None:
    stand_in: Any = STAND_INS["uis"](invented_calls(START, 2, 5), NOON)
    telephony = Telephony("uis", tmp_path, stand_in)
    whole = stand_in._legs
    # The last leg is counted and not told.
    stand_in._legs = lambda: [*whole(), {**whole()[-1], "id": whole()[0]["id"]}]
    with pytest.raises(SourceError, match=r"counts .* rows of call_legs .* and returned"):
        telephony.load()
