"""Random adversarial portals: marts equal the plain-Python reference, row for row."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.reference.random_portal import RANDOM_RULES, random_portal, write_portals
from tests.reference.records import Portal, read_store
from tests.support.agreement import differences
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.raw import write_raw

PORTALS = 120
PORTALS_LONG = 1500


def build_random_companies(root: Path, count: int, seed: int) -> tuple[Settings, dict[str, Portal]]:
    """So many random portals in one built warehouse, and what each holds, by connection."""
    portals = [random_portal(random.Random(seed + number)) for number in range(count)]
    folder = root / "portals"
    folder.mkdir()
    paths = write_portals(portals, folder)
    lines = [
        f"{name},{pipeline},{role}"
        for name in paths
        for pipeline, role in RANDOM_RULES.pipeline_roles.items()
    ]
    settings = make_company(
        root,
        connections=list(paths),
        zone=RANDOM_RULES.time_zone,
        files={"pipelines.csv": "\n".join(["connection,pipeline_id,role", *lines]) + "\n"},
    )
    settings.make_folders()
    stores = {f"bitrix24:{name}": PortalStore(path, read_only=True) for name, path in paths.items()}
    with duckdb.connect(str(settings.warehouse)) as connection:
        write_raw(connection, stores)
    for store in stores.values():
        store.close()
    load_company_rules(settings)
    dbt_build(settings)
    return settings, {f"bitrix24:{name}": read_store(path) for name, path in paths.items()}


def disagreements(settings: Settings, portals: dict[str, Portal]) -> dict[str, object]:
    """What differs, by connection."""
    found = {}
    with warehouse(settings) as connection:
        for source_key, portal in portals.items():
            differing = differences(connection, source_key, portal, RANDOM_RULES)
            if differing:
                found[source_key] = differing
    return found


@pytest.fixture(scope="module")
def random_companies(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Settings, dict[str, Portal]]:
    return build_random_companies(tmp_path_factory.mktemp("random"), PORTALS, seed=7)


def test_visits_closes_calls_and_call_load_equal_the_reference(
    random_companies: tuple[Settings, dict[str, Portal]],
) -> None:
    settings, portals = random_companies
    assert disagreements(settings, portals) == {}


def test_the_random_portals_reach_every_match_method(
    random_companies: tuple[Settings, dict[str, Portal]],
) -> None:
    settings, _ = random_companies
    with warehouse(settings) as connection:
        methods = connection.execute(
            "select match_method, count(*) from marts.fct_calls group by all"
        ).fetchall()
    assert len(methods) == 10
    assert min(count for _, count in methods) >= 5, methods


def test_the_tables_do_not_depend_on_the_zone_of_the_process(
    random_companies: tuple[Settings, dict[str, Portal]],
) -> None:
    settings, _ = random_companies
    before = _fingerprints(settings)
    dbt_build(settings, "--exclude", "test_type:data", environment={"TZ": "America/New_York"})
    assert _fingerprints(settings) == before


@pytest.mark.long
def test_many_more_random_portals(tmp_path: Path) -> None:
    settings, portals = build_random_companies(tmp_path, PORTALS_LONG, seed=100_000)
    assert disagreements(settings, portals) == {}


def _fingerprints(settings: Settings) -> dict[str, object]:
    with warehouse(settings) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where schema_name in ('marts', 'metrics')"
        ).fetchall()
        return {
            table: connection.execute(
                f"select count(*), bit_xor(hash(t::varchar)) from {table} as t"
            ).fetchone()
            for (table,) in tables
        }
