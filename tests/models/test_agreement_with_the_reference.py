"""Random adversarial portals: marts equal the plain-Python reference, row for row.

Beside them, in the same warehouse and the same build, stand random companies with telephony.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.settings import Settings
from tests.reference.random_portal import RANDOM_RULES
from tests.reference.records import without_deleted
from tests.support import mixtures
from tests.support.agreement import differences
from tests.support.agreement_on_people import differences_of_people
from tests.support.companies import WITHOUT_TESTS, dbt_build, warehouse
from tests.support.random_accounts import differences_of_accounts
from tests.support.random_companies import RandomCompanies, load_random_companies

PORTALS = 100
PORTALS_LONG = 1500
MIXTURES = 100
MIXTURES_LONG = 1000


def build_random_companies(
    root: Path, portal_count: int, mixture_count: int, seed: int
) -> RandomCompanies:
    """Random companies in one built warehouse."""
    companies = load_random_companies(root, portal_count, mixture_count, seed)
    dbt_build(companies.settings)
    return companies


def disagreements(built: RandomCompanies) -> dict[str, object]:
    """What differs, by connection."""
    found: dict[str, object] = {}
    with warehouse(built.settings) as connection:
        of_people = differences_of_people(connection, built.portals, RANDOM_RULES)
        for source_key, (portal, past) in built.portals.items():
            told = without_deleted(portal, past)
            odd = differences(connection, source_key, told, RANDOM_RULES)
            odd |= of_people.get(source_key, {})
            if odd:
                found[source_key] = odd
        found |= differences_of_accounts(connection, built.accounts)
        return found | mixtures.disagreements(connection, built.companies, RANDOM_RULES)


@pytest.fixture(scope="module")
def random_companies(tmp_path_factory: pytest.TempPathFactory) -> RandomCompanies:
    return build_random_companies(tmp_path_factory.mktemp("random"), PORTALS, MIXTURES, seed=7)


def test_cards_calls_and_who_stands_behind_them_equal_the_reference(
    random_companies: RandomCompanies,
) -> None:
    assert disagreements(replace(random_companies, companies=[], accounts={})) == {}


def test_leads_of_amocrm_are_owned_as_the_reference_says(
    random_companies: RandomCompanies,
) -> None:
    assert disagreements(replace(random_companies, portals={}, companies=[])) == {}
    with warehouse(random_companies.settings) as connection:
        bases = connection.execute(
            "select owner_basis, count(*) from marts.fct_owner_intervals "
            "where source_key like 'amocrm:a%' group by all"
        ).fetchall()
    assert {basis for basis, _ in bases} == {"history", "current"}
    assert min(count for _, count in bases) >= 20, bases


def test_calls_of_crm_and_telephony_are_merged_as_the_reference_says(
    random_companies: RandomCompanies,
) -> None:
    assert disagreements(replace(random_companies, portals={}, accounts={})) == {}


def test_the_random_companies_reach_every_way_of_being_one_call(
    random_companies: RandomCompanies,
) -> None:
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


def test_the_random_portals_reach_every_match_method(random_companies: RandomCompanies) -> None:
    settings = random_companies.settings
    with warehouse(settings) as connection:
        methods = connection.execute(
            "select match_method, count(*) from marts.fct_calls group by all"
        ).fetchall()
    assert len(methods) == 13
    assert min(count for _, count in methods) >= 5, methods


def test_the_random_portals_reach_every_way_of_owning_and_leaving(
    random_companies: RandomCompanies,
) -> None:
    with warehouse(random_companies.settings) as connection:
        credited = connection.execute(
            "select owner_basis, count(*) from marts.fct_deal_closes group by all"
        ).fetchall()
        left = connection.execute(
            "select dismissed_on_basis, is_active, count(*) from marts.dim_employees "
            "where employee_kind = 'person' and source_key like 'bitrix24:p%' group by all"
        ).fetchall()
        made = connection.execute(
            "select made_by, lead_key is null, is_repeat_client, count(*) from marts.fct_deals "
            "where source_key like 'bitrix24:p%' group by all"
        ).fetchall()
    assert {basis for basis, _ in credited} >= {"file", "snapshot", "mover", "current"}
    # Of the file also those who are still active by the list.
    assert (len(left), len(made)) == (6, 8)
    assert min(rows[-1] for rows in (*credited, *left, *made)) >= 3, (credited, left, made)


@pytest.mark.long
def test_the_tables_do_not_depend_on_the_zone_of_the_process(
    random_companies: RandomCompanies,
) -> None:
    settings = random_companies.settings
    before = _fingerprints(settings)
    dbt_build(settings, "--full-refresh", *WITHOUT_TESTS, environment={"TZ": "America/New_York"})
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
