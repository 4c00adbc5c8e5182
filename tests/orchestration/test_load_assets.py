"""Loading as Dagster shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster import materialize

from orchestration.assets.load import load_assets
from orchestration.resources import Warehouse
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.companies import make_company
from tests.support.portals import deal_row, make_portal


def test_what_was_loaded_is_told_though_another_portal_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_company(tmp_path, "acme", connections=("main", "other"))
    secrets = "SOURCES__BITRIX24__ACME__"
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", [deal_row(1), deal_row(2)])
        with serve_in_thread(Portal(store)) as address:
            monkeypatch.setenv(f"{secrets}MAIN__WEBHOOK_URL", address)
            revoked = address.replace("/demo/", "/revoked/")
            monkeypatch.setenv(f"{secrets}OTHER__WEBHOOK_URL", revoked)
            (load,) = (found for found in load_assets(settings) if "bitrix24" in found.op.name)
            result = materialize(
                [load], resources={"warehouse": Warehouse.of(settings)}, raise_on_error=False
            )
    assert not result.success
    (failed,) = (event for event in result.all_events if event.is_step_failure)
    told = failed.step_failure_data.user_failure_data
    assert "revoked" in str(told.description)
    rows: list[Any] = [record.data for record in told.metadata["loads"].records]
    deals = [row for row in rows if row["entity"] == "deals"]
    assert [(row["connection"], row["raw"]) for row in deals] == [("bitrix24:main", 2)]
