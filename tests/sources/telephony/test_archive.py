"""What a telephony forgets stays: its calls in the archive, and the way back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from orchestration.connections import find_connection, load_options
from sources.archive import restore
from sources.loading import load_connection
from tests.support.call_databases import FULL_COLUMNS, Pbx, in_file, leg, make_pbx
from tests.support.companies import pipeline_of


def load(pbx: Pbx) -> None:
    options = load_options(pbx.settings, find_connection(pbx.settings, "office"), sweeps=False)
    connector = pbx.connector("asterisk:office")
    load_connection(pipeline_of(pbx.settings, "office", "asterisk"), connector, options)


def test_a_restored_warehouse_keeps_calls_that_the_telephony_has_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = make_pbx(tmp_path, monkeypatch, ["asterisk:office"])
    database = in_file(tmp_path / "cdr.db")
    database.create(FULL_COLUMNS)
    now = dt.datetime.now().replace(microsecond=0)
    database.insert(leg("old.1", now - dt.timedelta(days=200)), leg("new.1", now - dt.timedelta(1)))
    pbx.set_url(database.url, "asterisk:office")
    load(pbx)
    database.execute("delete from cdr where uniqueid = 'old.1'")
    settings = pbx.settings
    restore(settings.archive_dir, settings.warehouse, settings.pipelines_dir, force=True)
    legs = "select uniqueid from asterisk_cdr order by 1"
    assert pbx.raw(legs) == [("new.1",), ("old.1",)]
    # The next load goes on with it.
    database.insert(leg("newest.1", now - dt.timedelta(hours=3)))
    load(pbx)
    assert pbx.raw(legs) == [("new.1",), ("newest.1",), ("old.1",)]
