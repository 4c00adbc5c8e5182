"""The assets that publish, on the demo company's build: files, and a real PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import AssetKey, Failure, materialize
from pydantic import SecretStr

from orchestration.assets.publish import publish_assets
from orchestration.manifest import read_manifest
from orchestration.publishing.postgres import connect
from orchestration.resources import Warehouse
from orchestration.settings import PROJECT_DIR, Settings
from tests.conftest import CANARY, DemoRun
from tests.support import servers
from tests.support.leaks import Contacts, in_file, names_in

UNCHECKED = "no_line_is_shared"
WHY = "Rules of the telephony can't be checked: no extensions were read."


@dataclass(frozen=True)
class Published:
    """Both doors of one publication.

    Attributes:
        settings: of a copy of the demo company.
        manifest: dbt's.
        accepted: rule, connection, entity and record of a finding that somebody has accepted.
        said: manifest.json of the files.
        metadata: of `published_postgres`.
    """

    settings: Settings
    manifest: Any
    accepted: tuple[Any, ...]
    said: dict[str, Any]
    metadata: dict[str, Any]

    def materialise(self, *names: str, raise_on_error: bool = True) -> Any:
        keys = {AssetKey([self.settings.company, name]) for name in names}
        return materialize(
            [asset for asset in publish_assets(self.settings, self.manifest) if asset.key in keys],
            resources={"warehouse": Warehouse.of(self.settings)},
            raise_on_error=raise_on_error,
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
                "returning rule_id, source_key, entity, record_id"
            ).fetchall()
            connection.execute(
                "update raw_derived.check_outcomes set has_passed = false, offenders_count = 0, "
                "sentence = ? where check_name = ?",
                [WHY, UNCHECKED],
            )
        made = Published(settings, read_manifest(demo_run.settings), accepted, {}, {})
        result = made.materialise("published_files", "published_postgres")
        assert result.success
        said = json.loads((settings.published_dir / "current" / "manifest.json").read_text())
        (event,) = result.asset_materializations_for_node("demo__published_postgres")
        metadata = {name: value.value for name, value in event.metadata.items()}
        yield Published(settings, made.manifest, accepted, said, metadata)


def test_the_manifest_names_what_was_accepted(published: Published) -> None:
    rule, connection_key, entity, record = published.accepted
    assert published.said["checks"]["accepted"] == [
        {
            "rule": rule,
            "connection": connection_key,
            "entity": entity,
            "record": record,
            "until_on": "2026-07-31",
            "who": "Head of sales",
            "why": "Moved next week",
        }
    ]


def test_the_manifest_tells_what_warned_from_what_was_not_checked(published: Published) -> None:
    checks = published.said["checks"]
    assert set(checks) == {"passed", "warned", "not_checked", "accepted"}
    assert checks["not_checked"] == {UNCHECKED: WHY}
    # By the findings themselves; the checks were judged before one of them was accepted.
    with duckdb.connect(str(published.settings.warehouse), read_only=True) as connection:
        names = dict(
            connection.execute("select rule_id, rule_name from seeds.data_quality_rules").fetchall()
        )
        found = Counter(
            names[rule]
            for rule, closed_at in connection.execute(
                "select rule_id, closed_at from marts.fct_data_quality_issues"
            ).fetchall()
            if closed_at is None
        )
    del found[UNCHECKED]
    assert checks["warned"] == found
    fates = [*checks["passed"], *checks["warned"], *checks["not_checked"]]
    assert len(set(fates)) == len(fates) > 150
    assert set(names.values()) <= set(fates)


def test_the_manifest_says_what_the_files_are_and_of_which_revision(published: Published) -> None:
    said, current = published.said, published.settings.published_dir / "current"
    revision = (PROJECT_DIR / ".git").exists() and subprocess.check_output(
        ["git", "rev-parse", "HEAD"], cwd=PROJECT_DIR, text=True
    ).strip()
    assert said["git_revision"] == (revision or None)
    assert (said["generation"], said["company"], said["build_number"]) == (1, "demo", 1)
    assert {path.stem for path in current.glob("*.parquet")} == {
        table["name"] for table in said["tables"]
    }
    for table in said["tables"]:
        file = pq.ParquetFile(current / f"{table['name']}.parquet")
        assert table["rows"] == file.metadata.num_rows, table["name"]
        told = ",".join(f"{one.name} {_sql_type(one.type)}" for one in file.schema_arrow)
        expected = hashlib.sha256(told.encode()).hexdigest()[:16]
        assert table["schema_hash"] == expected, table["name"]


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    names = {
        "int32": "INTEGER", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN",
        "string": "VARCHAR", "date32[day]": "DATE", "timestamp[us]": "TIMESTAMP",
    }  # fmt: skip
    return names[str(kind)]


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


def test_postgresql_shows_bi_no_contact_and_no_client(
    published: Published, contacts: Contacts, names: frozenset[tuple[str, str]]
) -> None:
    """Every value that `bi_ro` may read; keys are hashes and look like anything."""
    texts = (
        "select table_name, column_name from information_schema.columns "
        "where table_schema = '{}' and data_type in ('character varying', 'text') "
        "and column_name not like '%\\_key' and column_name not like '%\\_hash'"
    )
    with connect(published.settings.postgres_address.get_secret_value()) as postgres:

        def found_in(schema: str) -> dict[tuple[str, str], list[Any]]:
            found: dict[tuple[str, str], list[Any]] = {}
            for table, column in postgres.execute(texts.format(schema)).fetchall():
                rows = postgres.execute(f'select distinct "{column}" from {schema}.{table}')
                values = [value for (value,) in rows if value]
                told: list[Any] = list(contacts.found_in("\n".join(values).encode()))
                told += [name for value in values for name in names_in(value, names)]
                if told:
                    found[table, column] = told[:3]
            return found

        assert found_in("marts") == {}
        # The same search finds them where they are meant to be read.
        assert ("metric_call_register__by_call", "phone_e164") in found_in("marts_contacts")


def test_no_file_of_a_publication_holds_the_password(
    published: Published, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither of one that succeeds nor of one that the server refuses."""
    address = published.settings.postgres_address.get_secret_value()
    password = quote(servers.PASSWORD, safe="")
    assert password in address
    wrong = SecretStr(address.replace(password, CANARY))
    refused = published.settings.model_copy(update={"publish_postgres": wrong})
    result = replace(published, settings=refused).materialise(
        "published_postgres", raise_on_error=False
    )
    assert not result.success
    told = [str(event.event_specific_data) for event in result.all_events]
    written = capfd.readouterr()
    told += [written.out, written.err, str(published.metadata), json.dumps(published.said)]
    assert any("password authentication failed" in text for text in told)
    secrets = Contacts(
        frozenset(), frozenset(), (servers.PASSWORD.encode(), password.encode(), CANARY.encode())
    )
    assert [found for text in told for found in secrets.found_in(text.encode())] == []
    files = [
        path
        for path in published.settings.data_dir.rglob("*")
        if path.is_file() and path.suffix != ".duckdb"
    ]
    assert len(files) > 80
    assert {str(path): found for path in files if (found := in_file(path, secrets))} == {}
    # The search finds it where it is.
    assert list(secrets.found_in(address.encode()))


def test_files_of_an_older_build_are_not_put_into_postgresql(published: Published) -> None:
    path = published.settings.published_dir / "current" / "manifest.json"
    before = path.read_text()
    path.write_text(json.dumps({**published.said, "build_number": 0}))
    try:
        with pytest.raises(Failure, match=r"published files are of build 0.*materialise"):
            published.materialise("published_postgres")
    finally:
        path.write_text(before)


def _generations(published: Published) -> tuple[set[int], set[int]]:
    """What any table shows: of the files that are current, and of PostgreSQL."""
    current = published.settings.published_dir / "current"
    said = json.loads((current / "manifest.json").read_text())
    shown = " union ".join(f"select generation from marts.{one['name']}" for one in said["tables"])
    address = published.settings.postgres_address.get_secret_value()
    with duckdb.connect(str(current / "marts_demo.duckdb"), read_only=True) as files:
        of_files = {row[0] for row in files.execute(shown).fetchall()} | {said["generation"]}
    with connect(address) as postgres:
        return of_files, {row[0] for row in postgres.execute(shown).fetchall()}


@pytest.fixture
def closed(published: Published) -> Iterator[str]:
    """A blocking check that has failed on the build that is published."""
    warehouse = str(published.settings.warehouse)
    change = "update raw_derived.check_outcomes set has_passed = ?, offenders_count = ? "
    of_check = "where check_name = ? and is_blocking"
    name = "every_error_severity_dbt_test_passed"
    with duckdb.connect(warehouse) as connection:
        assert connection.execute(change + of_check, [False, 3, name]).fetchone() == (1,)
    yield name
    with duckdb.connect(warehouse) as connection:
        connection.execute(change + of_check, [True, 0, name])
    assert published.materialise("quality_gate").success


def test_a_gate_that_closes_leaves_the_old_generation_behind_both_doors(
    published: Published, closed: str
) -> None:
    assert _generations(published) == ({1}, {1})
    for name, said in (
        ("quality_gate", f"The gate is closed: nothing is published.*{closed}"),
        ("published_files", r"gate is closed for build 1; the last publication stays"),
        ("published_postgres", r"gate is closed for build 1; the last publication stays"),
    ):
        with pytest.raises(Failure, match=f"(?s){said}"):
            published.materialise(name)
    assert _generations(published) == ({1}, {1})
    folder = published.settings.published_dir
    assert sorted(path.name for path in folder.iterdir()) == ["current", "gen-1"]
    with connect(published.settings.postgres_address.get_secret_value()) as postgres:
        schemas = postgres.execute("select nspname from pg_namespace where nspname ~ '^marts'")
        assert {name for (name,) in schemas.fetchall()} == {"marts", "marts_contacts"}
