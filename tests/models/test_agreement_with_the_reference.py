"""Random adversarial portals: marts equal the plain-Python reference, row for row.

Beside them, in the same warehouse and the same build, stand random companies with telephony.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.amocrm.store import AmoStore
from sources.demo.store import PortalStore
from tests.reference.merging import Company
from tests.reference.random_mixture import random_company
from tests.reference.random_portal import RANDOM_RULES, random_portal, write_portals
from tests.reference.records import Portal, read_store
from tests.support import mixtures
from tests.support.agreement import differences
from tests.support.companies import dbt_build, load_company_rules, make_company, warehouse
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import write_raw_telephony

PORTALS = 120
PORTALS_LONG = 1500
MIXTURES = 120
MIXTURES_LONG = 1000


@dataclass(frozen=True)
class Built:
    """Random companies in one built warehouse.

    Attributes:
        portals: what each portal of Bitrix24 without telephony holds, by connection.
        companies: those with telephony.
    """

    settings: Settings
    portals: dict[str, Portal]
    companies: list[Company]


def build_random_companies(root: Path, portal_count: int, mixture_count: int, seed: int) -> Built:
    """So many random portals, and so many companies with telephony, in one built warehouse."""
    portals = [random_portal(random.Random(seed + number)) for number in range(portal_count)]
    companies = [
        random_company(random.Random(seed + number), f"m{number:04d}")
        for number in range(mixture_count)
    ]
    folder = root / "portals"
    folder.mkdir()
    paths = write_portals(portals, folder)
    lines = [
        f"{name},{pipeline},{role}"
        for name in paths
        for pipeline, role in RANDOM_RULES.pipeline_roles.items()
    ]
    stores: dict[str, mixtures.Store] = {
        f"bitrix24:{name}": PortalStore(path, read_only=True) for name, path in paths.items()
    }
    stores |= mixtures.write_stores(companies, folder)
    telephony = mixtures.loaded_telephony(companies)
    settings = make_company(
        root,
        connections=[*stores, *telephony],
        zone=RANDOM_RULES.time_zone,
        files={
            "pipelines.csv": "\n".join(["connection,pipeline_id,role", *lines]) + "\n",
            **mixtures.company_files(companies, RANDOM_RULES.time_zone),
        },
        options=mixtures.company_options(companies),
    )
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as connection:
        of_bitrix24 = {key: s for key, s in stores.items() if isinstance(s, PortalStore)}
        write_raw(connection, of_bitrix24)
        of_amocrm = {key: s for key, s in stores.items() if isinstance(s, AmoStore)}
        write_raw_amocrm(connection, of_amocrm)
        write_raw_telephony(connection, telephony)
        mixtures.write_earlier_phones(connection, companies)
    for store in stores.values():
        store.close()
    load_company_rules(settings)
    dbt_build(settings)
    found = {f"bitrix24:{name}": read_store(path) for name, path in paths.items()}
    return Built(settings, found, companies)


def disagreements(built: Built) -> dict[str, object]:
    """What differs, by connection."""
    found: dict[str, object] = {}
    with warehouse(built.settings) as connection:
        for source_key, portal in built.portals.items():
            differing = differences(connection, source_key, portal, RANDOM_RULES)
            if differing:
                found[source_key] = differing
        return found | mixtures.disagreements(connection, built.companies, RANDOM_RULES)


@pytest.fixture(scope="module")
def random_companies(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_random_companies(tmp_path_factory.mktemp("random"), PORTALS, MIXTURES, seed=7)


def test_visits_closes_calls_and_call_load_equal_the_reference(random_companies: Built) -> None:
    assert disagreements(replace(random_companies, companies=[])) == {}


def test_calls_of_crm_and_telephony_are_merged_as_the_reference_says(
    random_companies: Built,
) -> None:
    assert disagreements(replace(random_companies, portals={})) == {}


def test_the_random_companies_reach_every_way_of_being_one_call(random_companies: Built) -> None:
    with warehouse(random_companies.settings) as connection:
        ways = connection.execute(
            "select call_sources, pair_basis, count(*) from marts.fct_calls group by all"
        ).fetchall()
        ends = connection.execute(
            "select distance_seconds, count(*) from intermediate.int_calls_paired_by_phone "
            "where distance_seconds in (0, 90) group by all"
        ).fetchall()
        talkers = connection.execute(
            "select talker_basis, count(*) from marts.fct_calls where call_sources = 'crm_and_pbx' "
            "group by all"
        ).fetchall()
    assert (len(ways), len(ends), len(talkers)) == (4, 2, 6)
    assert min(rows[-1] for rows in (*ways, *ends, *talkers)) >= 10, (ways, ends, talkers)


def test_the_random_portals_reach_every_match_method(random_companies: Built) -> None:
    settings = random_companies.settings
    with warehouse(settings) as connection:
        methods = connection.execute(
            "select match_method, count(*) from marts.fct_calls group by all"
        ).fetchall()
    assert len(methods) == 13
    assert min(count for _, count in methods) >= 5, methods


def test_the_tables_do_not_depend_on_the_zone_of_the_process(random_companies: Built) -> None:
    settings = random_companies.settings
    before = _fingerprints(settings)
    dbt_build(settings, "--exclude", "test_type:data", environment={"TZ": "America/New_York"})
    assert _fingerprints(settings) == before


@pytest.mark.long
def test_many_more_random_portals(tmp_path: Path) -> None:
    built = build_random_companies(tmp_path, PORTALS_LONG, MIXTURES_LONG, seed=100_000)
    assert disagreements(built) == {}


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
