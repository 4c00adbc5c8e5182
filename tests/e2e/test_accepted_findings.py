"""A publication says which findings a person has accepted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
from dagster import AssetKey, materialize

from orchestration.assets.publish import publish_assets
from orchestration.manifest import read_manifest
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from tests.conftest import DemoRun


def test_the_manifest_names_what_was_accepted(demo_run: DemoRun, tmp_path: Path) -> None:
    settings = Settings(company="demo", data_root=tmp_path)
    settings.make_folders()
    shutil.copy(demo_run.settings.warehouse, settings.warehouse)
    with duckdb.connect(str(settings.warehouse)) as connection:
        accepted = connection.execute(
            "update marts.fct_data_quality_issues set is_accepted = true, "
            "accepted_until_on = date '2026-07-31', accepted_by = 'Head of sales', "
            "accepted_reason = 'Moved next week' where issue_key = ("
            "select min(issue_key) from marts.fct_data_quality_issues where closed_at is null) "
            "returning rule_id, source_key, record_id"
        ).fetchall()
    files = next(
        asset
        for asset in publish_assets(settings, read_manifest(demo_run.settings))
        if asset.key == AssetKey(["demo", "published_files"])
    )
    assert materialize([files], resources={"warehouse": Warehouse.of(settings)}).success
    manifest = json.loads((settings.published_dir / "current" / "manifest.json").read_text())
    [(rule, connection_key, record)] = accepted
    assert manifest["checks"]["accepted"] == [
        {
            "rule": rule,
            "connection": connection_key,
            "record": record,
            "until_on": "2026-07-31",
            "who": "Head of sales",
            "why": "Moved next week",
        }
    ]
