"""The assets that publish, on the demo company's build: files, and a real PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from dagster import AssetKey, Failure, materialize
from pydantic import SecretStr

from orchestration.assets.publish import publish_assets
from orchestration.manifest import read_manifest
from orchestration.publishing.postgres import connect
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from tests.conftest import DemoRun
from tests.support import servers


@dataclass(frozen=True)
class Published:
    """Both doors of one publication.

    Attributes:
        settings: of a copy of the demo company.
        manifest: dbt's.
        accepted: rule, connection and record of a finding that somebody has accepted.
        said: manifest.json of the files.
        metadata: of `published_postgres`.
    """

    settings: Settings
    manifest: Any
    accepted: tuple[Any, ...]
    said: dict[str, Any]
    metadata: dict[str, Any]

    def materialise(self, *names: str) -> Any:
        keys = {AssetKey([self.settings.company, name]) for name in names}
        return materialize(
            [asset for asset in publish_assets(self.settings, self.manifest) if asset.key in keys],
            resources={"warehouse": Warehouse.of(self.settings)},
        )


@pytest.fixture(scope="module")
def published(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with servers.postgresql() as server:
        server.execute("create database bi", database="postgres")
        address = server.url("bi").render_as_string(hide_password=False)
        settings = Settings(
            company="demo",
            data_root=tmp_path_factory.mktemp("published"),
            publish_postgres=SecretStr(address),
        )
        settings.make_folders()
        shutil.copy(demo_run.settings.warehouse, settings.warehouse)
        with duckdb.connect(str(settings.warehouse)) as connection:
            (accepted,) = connection.execute(
                "update marts.fct_data_quality_issues set is_accepted = true, "
                "accepted_until_on = date '2026-07-31', accepted_by = 'Head of sales', "
                "accepted_reason = 'Moved next week' where issue_key = ("
                "select min(issue_key) from marts.fct_data_quality_issues where closed_at is null) "
                "returning rule_id, source_key, record_id"
            ).fetchall()
        made = Published(settings, read_manifest(demo_run.settings), accepted, {}, {})
        result = made.materialise("published_files", "published_postgres")
        assert result.success
        said = json.loads((settings.published_dir / "current" / "manifest.json").read_text())
        (event,) = result.asset_materializations_for_node("demo__published_postgres")
        metadata = {name: value.value for name, value in event.metadata.items()}
        yield Published(settings, made.manifest, accepted, said, metadata)


def test_the_manifest_names_what_was_accepted(published: Published) -> None:
    rule, connection_key, record = published.accepted
    assert published.said["checks"]["accepted"] == [
        {
            "rule": rule,
            "connection": connection_key,
            "record": record,
            "until_on": "2026-07-31",
            "who": "Head of sales",
            "why": "Moved next week",
        }
    ]


def test_postgresql_holds_what_the_files_hold(published: Published) -> None:
    assert published.metadata["generation"] == published.said["generation"] == 1
    assert published.metadata["warnings"] == published.metadata["old_tables_kept"] == "none"
    rows = {table["name"]: table["rows"] for table in published.said["tables"]}
    database = published.settings.published_dir / "current" / "marts_demo.duckdb"
    address = published.settings.postgres_address.get_secret_value()
    with duckdb.connect(str(database), read_only=True) as files, connect(address) as postgres:
        held = files.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts' "
            "order by table_name, column_index"
        ).fetchall()
        found = postgres.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = 'marts' order by table_name, ordinal_position"
        ).fetchall()
        assert sorted(found) == sorted(held)
        for name, count in rows.items():
            assert postgres.execute(f"select count(*) from marts.{name}").fetchone() == (count,)
        for sums in (
            "select count(*), sum(talk_seconds), max(started_at), count(phone_e164_hash) "
            "from marts.fct_calls",
            "select sum(company_amount), max(created_on), count(distinct stage_key) "
            "from marts.fct_deals",
        ):
            assert postgres.execute(sums).fetchone() == files.execute(sums).fetchone()
        keys = postgres.execute(
            "select count(*) from information_schema.table_constraints "
            "where table_schema = 'marts' and constraint_type = 'PRIMARY KEY'"
        ).fetchone()
        assert keys == (len(rows),)
        dialled = postgres.execute(
            "select count(*) > 100 and bool_and(phone_e164 like '+%') "
            "from marts_contacts.metric_call_register__by_call where phone_e164 is not null"
        ).fetchone()
        assert dialled == (True,)


def test_files_of_an_older_build_are_not_put_into_postgresql(published: Published) -> None:
    path = published.settings.published_dir / "current" / "manifest.json"
    before = path.read_text()
    path.write_text(json.dumps({**published.said, "build_number": 0}))
    try:
        with pytest.raises(Failure, match=r"published files are of build 0.*materialise"):
            published.materialise("published_postgres")
    finally:
        path.write_text(before)
