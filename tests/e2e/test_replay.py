"""A real stage history, replayed: marts equal a computation from the csv file alone."""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from orchestration.settings import PROJECT_DIR, Settings
from sources.demo.replay import write_replay
from sources.demo.store import PortalStore
from tests.reference.records import read_store
from tests.reference.rules import Rules
from tests.support.agreement import differences
from tests.support.companies import (
    dbt_build,
    load_company_rules,
    load_portal,
    make_company,
    warehouse,
)

HELPDESK = PROJECT_DIR / "tests" / "data" / "helpdesk"
HISTORY_HEADER = "history_id,deal_id,stage,entered_at\n"


@pytest.fixture(scope="module")
def helpdesk(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replayed(tmp_path_factory.mktemp("helpdesk"), HELPDESK)


def replayed(root: Path, folder: Path) -> Settings:
    settings = make_company(root, zone="UTC")
    write_replay(folder, root / "portal.sqlite")
    refresh(settings, root / "portal.sqlite")
    return settings


def refresh(settings: Settings, store: Path) -> None:
    with PortalStore(store, read_only=True) as opened:
        load_portal(settings, opened)
    load_company_rules(settings)
    dbt_build(settings)


def visits_of_the_file(
    folder: Path,
) -> dict[int, list[tuple[str, dt.datetime, dt.datetime | None]]]:
    """Per deal: stage, entered, left; straight from the csv file."""
    entries = defaultdict(list)
    with (folder / "stage_history.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = dt.datetime.fromisoformat(row["entered_at"]).astimezone(dt.UTC)
            entries[int(row["deal_id"])].append((at, int(row["history_id"]), row["stage"]))
    found = {}
    for deal_id, moves in entries.items():
        stays: list[list[Any]] = []
        for at, _, stage in sorted(moves):
            if not stays or stays[-1][0] != stage:
                if stays:
                    stays[-1][2] = at
                stays.append([stage, at, None])
        found[deal_id] = [(stage, entered, left) for stage, entered, left in stays]
    return found


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


def test_every_visit_of_the_real_history_is_in_the_marts(helpdesk: Settings) -> None:
    expected = [
        (deal_id, number, stage, entered.replace(tzinfo=None), left and left.replace(tzinfo=None))
        for deal_id, stays in visits_of_the_file(HELPDESK).items()
        for number, (stage, entered, left) in enumerate(stays, start=1)
    ]
    found = query(
        helpdesk,
        """
        select
            deals.origin_id::bigint, visits.visit_number, stages.stage_name,
            visits.entered_at, visits.left_at
        from marts.fct_stage_visits as visits
        inner join marts.fct_deals as deals on visits.deal_key = deals.deal_key
        inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
        """,
    )
    assert len(found) == 20_404
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_revisits_and_durations_per_stage_equal_the_files(helpdesk: Settings) -> None:
    counts: dict[str, int] = defaultdict(int)
    revisits: dict[str, int] = defaultdict(int)
    seconds: dict[str, Fraction] = defaultdict(Fraction)
    for stays in visits_of_the_file(HELPDESK).values():
        seen = set()
        for stage, entered, left in stays:
            counts[stage] += 1
            revisits[stage] += stage in seen
            seen.add(stage)
            if left is not None:
                seconds[stage] += Fraction((left - entered) // dt.timedelta(seconds=1))
    found = query(
        helpdesk,
        """
        select
            stages.stage_name, count(*), count(*) filter (where visits.is_revisit),
            coalesce(sum(visits.duration_seconds), 0)
        from marts.fct_stage_visits as visits
        inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
        group by stages.stage_name
        """,
    )
    assert {name: (visits, again, Fraction(total)) for name, visits, again, total in found} == {
        name: (counts[name], revisits[name], seconds[name]) for name in counts
    }
    assert sum(revisits.values()) == 961


def test_closed_tickets_are_won_deals_since_their_last_run_of_closed(helpdesk: Settings) -> None:
    with warehouse(helpdesk) as connection:
        portal = read_store(helpdesk.data_root.parent / "portal.sqlite")
        assert differences(connection, "bitrix24:main", portal, Rules(time_zone="UTC")) == {}
    won = query(helpdesk, "select count(*) from marts.fct_deals where deal_state = 'won'")
    last = [stays[-1][0] for stays in visits_of_the_file(HELPDESK).values()]
    assert won == [(last.count("Closed"),)]


@pytest.mark.long
def test_a_second_refresh_changes_nothing(helpdesk: Settings) -> None:
    sql = "select bit_xor(hash(t::varchar)), count(*) from marts.fct_stage_visits as t"
    before = query(helpdesk, sql)
    refresh(helpdesk, helpdesk.data_root.parent / "portal.sqlite")
    assert query(helpdesk, sql) == before


@pytest.mark.long
def test_a_replay_without_a_single_row_builds(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "stage_history.csv").write_text(HISTORY_HEADER)
    settings = replayed(tmp_path, folder)
    assert query(settings, "select count(*) from marts.fct_deals") == [(0,)]
    assert query(settings, "select count(*) from metrics.metric_call_load__by_stage") == [(0,)]


@pytest.mark.long
def test_fractions_of_a_second_text_ids_pipelines_and_calls_survive(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "stage_history.csv").write_text(
        "history_id,deal_id,stage,entered_at,pipeline\n"
        "a1,D-10,New,2024-05-01T10:00:00.250+03:00,Retail\n"
        "a2,D-10,Talks,2024-05-01T10:00:01.500+03:00,Retail\n"
        "a3,D-9,New,2024-05-01T12:00:00Z,Wholesale\n"
        "a4,D-10,New,2024-05-02T10:00:00+03:00,Wholesale\n"
    )
    (folder / "calls.csv").write_text(
        "call_id,started_at,duration_seconds,deal_id,direction\n"
        "x,2024-05-01T10:00:01.500+03:00,61,D-10,in\n"
        "y,2024-05-01T09:59:00+03:00,0,D-10,out\n"
    )
    settings = replayed(tmp_path, folder)
    visits = query(
        settings,
        """
        select
            deals.origin_id, visits.visit_number, pipelines.pipeline_name, stages.stage_name,
            visits.duration_seconds::double
        from marts.fct_stage_visits as visits
        inner join marts.fct_deals as deals on visits.deal_key = deals.deal_key
        inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
        inner join marts.dim_pipelines as pipelines on visits.pipeline_key = pipelines.pipeline_key
        order by 1, 2
        """,
    )
    assert visits == [
        ("D-10", 1, "Retail", "New", 1.25),
        ("D-10", 2, "Retail", "Talks", 86398.5),
        ("D-10", 3, "Wholesale", "New", None),
        ("D-9", 1, "Wholesale", "New", None),
    ]
    calls = query(
        settings,
        """
        select calls.system_call_id, calls.match_method, stages.stage_name
        from marts.fct_calls as calls
        left join marts.dim_stages as stages on calls.stage_key = stages.stage_key
        order by 1
        """,
    )
    assert calls == [("x", "bound_deal", "Talks"), ("y", "started_deal", "New")]
