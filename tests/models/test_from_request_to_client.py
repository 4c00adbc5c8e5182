"""Marketing, journeys and the client base on a company that can be checked with a pencil.

Monday, 2 March 2026, 12:00 UTC is day 0; as-of is day 100, 10 June. The portal `main` has leads, a
setter pipeline (1) and a sales pipeline (0); `shop` has no leads, no calls, and the sales pipeline
alone. WORK and MEET are key stages. Anna is user 1, Boris user 2; Clara, 3, left on 20 March.

| lead | source, campaign | client | owner | came | became                             |
|------|------------------|--------|-------|------|------------------------------------|
| 1    | Site, a          | 11     | Anna  | 0    | converted on day 1: deal 1         |
| 2    | Site             | 12     | Anna  | 0    | junk on day 2                      |
| 3    | Ads              | 13     | Clara | 5    | open                               |
| 4    | Site, b          | 14     | Anna  | 10   | converted on day 11, without a deal |
| 5    | Ads              | 15     | Anna  | 10   | converted on day 12, without a deal |
| 6    | Site             | 16     | Anna  | 2    | junk on day 3                      |

| deal    | amount | client | owner | setter                  | sales                      |
|---------|--------|--------|-------|-------------------------|----------------------------|
| 1       | 1000   | 11     | Boris | NEW 1, MEET 2           | NEW 3, WORK 4, WON 6       |
| 4       | 300    | 14     | Boris |                         | NEW 30                     |
| 5       | 10     | 15     | Anna  | NEW 12, WON 20          |                            |
| 6       | 150    | 15     | Anna  |                         | NEW 25, WON 40             |
| 7       | 70     | 15     | Anna  |                         | NEW 26, LOST 50            |
| 8       | none   | 16     | Anna  |                         | NEW 93                     |
| 9       | 2000   | 17     | Anna  |                         | NEW -400, WON -390         |
| 20 – 22 | 150, 100, 20 | 20 – 22 | Anna |                    | NEW 49, WON 50             |
| 31 shop | 40     | 31     | Anna  |                         | NEW 1, WORK 3, WON 5       |
| 32 shop | 50     | 32     | Anna  |                         | NEW 2, LOST 4              |
| 33 shop | 70     | none   | Anna  |                         | NEW 4                      |

Deal 8 comes 91 days after its client's lead: a day too late to be its continuation. Deal 7 comes
after deal 6, which is the one that continues deal 5.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.support.by_hand import built_company
from tests.support.companies import (
    asked,
)
from tests.support.portals import at, call_row, deal_row, history_row, make_portal

DAY = 24 * 60
WITH_TRUTHS_ONLY = ("--exclude", "test_type:generic", "test_type:unit")
"""Data tests of totals run here too; those of single columns have more data elsewhere."""
MARCH = dt.date(2026, 3, 1)
MAIN, SHOP = "bitrix24:main", "bitrix24:shop"
SEMANTICS = {"WON": "S", "CONVERTED": "S", "LOST": "F", "JUNK": "F"}
FILES = {
    "pipelines.csv": "connection,pipeline_id,role\nmain,1,setter\n",
    "stages.csv": """connection,pipeline_id,stage_id,role
main,0,WORK,key
main,1,C1:MEET,key
shop,0,WORK,key
""",
    "dismissals.csv": "connection,employee_id,dismissed_on\nmain,3,2026-03-20\n",
    "currency_rates.csv": "currency,valid_from,rate\nUSD,2026-03-03,90\n",
    # 10 a day; 3.33, 3.33 and 3.34 dollars, the first of them before there is a rate; 10 a day of
    # which ten have come.
    "marketing_costs.csv": (
        "connection,source,utm_source,utm_medium,utm_campaign,from_on,until_on,amount,currency\n"
        "main,Site,,,,2026-03-02,2026-03-12,100,\n"
        "main,,y,cpc,a,2026-03-02,2026-03-05,10,USD\n"
        "main,Ads,,,,2026-06-01,2026-07-01,300,\n"
    ),
    "journey_steps.csv": """connection,funnel,step_number,step_name,pipeline_id,stage_id
main,Way,1,Lead,leads,
main,Way,2,Setter,1,
main,Way,3,Deal,0,
main,Way,4,Sale,0,WON
""",
}
LEADS: Sequence[tuple[int, str, str | None, int, int, Sequence[tuple[int, str]]]] = (
    (1, "WEB", "a", 11, 1, [(0, "NEW"), (1, "CONVERTED")]),
    (2, "WEB", None, 12, 1, [(0, "NEW"), (2, "JUNK")]),
    (3, "ADS", None, 13, 3, [(5, "NEW")]),
    (4, "WEB", "b", 14, 1, [(10, "NEW"), (11, "CONVERTED")]),
    (5, "ADS", None, 15, 1, [(10, "NEW"), (12, "CONVERTED")]),
    (6, "WEB", None, 16, 1, [(2, "NEW"), (3, "JUNK")]),
)
Deal = tuple[int, str | None, int | None, int, Sequence[tuple[int, str]]]
DEALS: Sequence[Deal] = (
    (1, "1000", 11, 2, [(1, "C1:NEW"), (2, "C1:MEET"), (3, "NEW"), (4, "WORK"), (6, "WON")]),
    (4, "300", 14, 2, [(30, "NEW")]),
    (5, "10", 15, 1, [(12, "C1:NEW"), (20, "C1:WON")]),
    (6, "150", 15, 1, [(25, "NEW"), (40, "WON")]),
    (7, "70", 15, 1, [(26, "NEW"), (50, "LOST")]),
    (8, None, 16, 1, [(93, "NEW")]),
    (9, "2000", 17, 1, [(-400, "NEW"), (-390, "WON")]),
    (20, "150", 20, 1, [(49, "NEW"), (50, "WON")]),
    (21, "100", 21, 1, [(49, "NEW"), (50, "WON")]),
    (22, "20", 22, 1, [(49, "NEW"), (50, "WON")]),
)
DEALS_OF_SHOP: Sequence[Deal] = (
    (31, "40", 31, 1, [(1, "NEW"), (3, "WORK"), (5, "WON")]),
    (32, "50", 32, 1, [(2, "NEW"), (4, "LOST")]),
    (33, "70", None, 1, [(4, "NEW")]),
)


def semantics_of(stage: str) -> str:
    return SEMANTICS.get(stage.rpartition(":")[2], "P")


def insert_deals(store: PortalStore, deals: Sequence[Deal]) -> None:
    number = 0
    for deal, amount, client, owner, entries in deals:
        last_day, last = entries[-1]
        store.insert(
            "deal",
            [
                deal_row(
                    deal,
                    OPPORTUNITY=amount,
                    CONTACT_ID=client,
                    ASSIGNED_BY_ID=owner,
                    LEAD_ID=1 if deal == 1 else None,
                    CATEGORY_ID=int(last.startswith("C1:")),
                    STAGE_ID=last,
                    STAGE_SEMANTIC_ID=semantics_of(last),
                    DATE_CREATE=at(entries[0][0] * DAY),
                    MOVED_TIME=at(last_day * DAY),
                )
            ],
        )
        for day, stage in entries:
            number += 1
            store.insert(
                "stage_history",
                [
                    history_row(
                        number,
                        deal,
                        day * DAY,
                        stage,
                        CATEGORY_ID=int(stage.startswith("C1:")),
                        STAGE_SEMANTIC_ID=semantics_of(stage),
                    )
                ],
            )


def insert_leads(store: PortalStore) -> None:
    number = 0
    for lead, source, campaign, client, owner, entries in LEADS:
        last_day, last = entries[-1]
        store.insert(
            "lead",
            [
                {
                    "ID": lead,
                    "TITLE": f"Lead {lead}",
                    "SOURCE_ID": source,
                    "STATUS_ID": last,
                    "STATUS_SEMANTIC_ID": semantics_of(last),
                    "CONTACT_ID": client,
                    "ASSIGNED_BY_ID": owner,
                    "UTM_SOURCE": "y" if campaign else None,
                    "UTM_MEDIUM": "cpc" if campaign else None,
                    "UTM_CAMPAIGN": campaign,
                    "DATE_CREATE": at(entries[0][0] * DAY),
                    "DATE_MODIFY": at(last_day * DAY),
                    "DATE_CLOSED": at(last_day * DAY) if semantics_of(last) != "P" else None,
                    "PHONE": [],
                    "EMAIL": [],
                    "CUSTOM": {},
                }
            ],
        )
        for day, status in entries:
            number += 1
            store.insert(
                "lead_stage_history",
                [
                    {
                        "ID": number,
                        "TYPE_ID": 2,
                        "OWNER_ID": lead,
                        "CREATED_TIME": at(day * DAY),
                        "STATUS_SEMANTIC_ID": semantics_of(status),
                        "STATUS_ID": status,
                    }
                ],
            )


def status_row(number: int, entity: str, status: str, name: str) -> dict[str, Any]:
    semantics = semantics_of(status)
    return {
        "ID": number,
        "ENTITY_ID": entity,
        "STATUS_ID": status,
        "NAME": name,
        "SORT": number * 10,
        "SEMANTICS": None if semantics == "P" else semantics,
    }


def main_portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=100 * DAY)
    store.insert("category", [{"ID": 1, "NAME": "Setters", "SORT": 5, "IS_DEFAULT": 0}])
    stages = ["C1:NEW", "C1:MEET", "C1:WON", "C1:LOST"]
    statuses = ["NEW", "CONVERTED", "JUNK"]
    store.insert(
        "status",
        [
            *(status_row(20 + n, "DEAL_STAGE_1", s, s[3:].title()) for n, s in enumerate(stages)),
            *(status_row(30 + n, "STATUS", s, s.title()) for n, s in enumerate(statuses)),
            status_row(40, "SOURCE", "WEB", "Site"),
            status_row(41, "SOURCE", "ADS", "Ads"),
        ],
    )
    store.insert(
        "user",
        [
            {"ID": 2, "ACTIVE": 1, "NAME": "Boris", "USER_TYPE": "employee"},
            {"ID": 3, "ACTIVE": 0, "NAME": "Clara", "USER_TYPE": "employee"},
        ],
    )
    store.insert("company", [{"ID": 5, "TITLE": "Firm"}])
    # 18 has an owner and no card; 19 is only the firm's.
    store.insert(
        "contact",
        [
            *(
                {"ID": number, "NAME": f"Client {number}"}
                for number in (*range(11, 18), 20, 21, 22)
            ),
            {"ID": 18, "NAME": "Client 18", "ASSIGNED_BY_ID": 2},
            {"ID": 19, "NAME": "Client 19", "COMPANY_ID": 5, "ASSIGNED_BY_ID": 2},
        ],
    )
    insert_leads(store)
    insert_deals(store, DEALS)

    def call(number: int, days: float, kind: str, record: int, **fields: Any) -> dict[str, Any]:
        bound = {"CRM_ENTITY_TYPE": kind, "CRM_ENTITY_ID": record}
        return call_row(number, days * DAY, **bound, **fields)

    store.insert(
        "call",
        [
            call(1, 10 / DAY, "LEAD", 1, CALL_DURATION=120),
            call(2, 2, "DEAL", 1, PORTAL_USER_ID=2),
            call(3, 5, "LEAD", 3, CALL_TYPE=2, CALL_DURATION=30, PORTAL_USER_ID=3),
            # Five seconds are no contact.
            call(4, 95, "DEAL", 4, CALL_DURATION=5, PORTAL_USER_ID=2),
            call(5, 60, "CONTACT", 15),
            call(6, 1, "LEAD", 2, CALL_DURATION=0, CALL_FAILED_CODE="304"),
            call(7, 75, "CONTACT", 16),
        ],
    )
    return store


def shop_portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=100 * DAY)
    store.insert("contact", [{"ID": 31, "NAME": "Client 31"}, {"ID": 32, "NAME": "Client 32"}])
    insert_deals(store, DEALS_OF_SHOP)
    return store


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return built_company(
        tmp_path_factory.mktemp("requests"),
        {"main": main_portal, "shop": shop_portal},
        WITH_TRUTHS_ONLY,
        files=FILES,
    )


@pytest.mark.parametrize(
    ("source", "slice_type", "value", "expected"),
    [
        # Requests, qualified, won, open, lost, other, revenue, costs, days without a rate.
        (MAIN, "all", "all", (6, 3, 1, 1, 2, 2, 1000, 700.30, 1)),
        (MAIN, "source", "Site", (4, 2, 1, 0, 2, 1, 1000, 100, 0)),
        (MAIN, "source", "Ads", (2, 1, 0, 1, 0, 1, None, None, 0)),
        (MAIN, "source", "(costs without it)", (0, 0, 0, 0, 0, 0, None, 600.30, 1)),
        (MAIN, "utm_source", "y", (2, 2, 1, 0, 0, 1, 1000, 600.30, 1)),
        (MAIN, "utm_medium", "cpc", (2, 2, 1, 0, 0, 1, 1000, 600.30, 1)),
        (MAIN, "utm_campaign", "b", (1, 1, 0, 0, 0, 1, None, None, 0)),
        (MAIN, "utm_campaign", "(not set)", (4, 1, 0, 1, 2, 1, None, None, 0)),
        (MAIN, "utm_campaign", "(costs without it)", (0, 0, 0, 0, 0, 0, None, 100, 0)),
        (SHOP, "all", "all", (3, 0, 1, 1, 1, 0, 40, None, 0)),
    ],
)
def test_requests_of_a_month_stand_beside_what_they_cost(
    company: Settings, source: str, slice_type: str, value: str, expected: tuple[Any, ...]
) -> None:
    (row,) = asked(
        company,
        "select requests_count, qualified_count, won_requests_count, open_requests_count, "
        "lost_requests_count, other_requests_count, won_amount, cost_amount, "
        "unconverted_costs_count from metrics.metric_marketing__by_source "
        "where source_key = ? and period_type = 'month' and starts_on = ? and slice_type = ? "
        "and slice_value = ?",
        source,
        MARCH,
        slice_type,
        value,
    )
    assert [float(n) if n is not None else None for n in row] == pytest.approx(list(expected))


def test_what_a_request_costs_and_brings(company: Settings) -> None:
    (row,) = asked(
        company,
        "select cost_per_request, cost_per_qualified, cost_per_won_request, won_amount_per_cost, "
        "won_amount_per_request, talk_minutes_per_request, qualified_share_cohort, "
        "won_share_cohort, open_share_cohort from metrics.metric_marketing__by_source "
        "where source_key = ? and period_type = 'month' and starts_on = ? and slice_type = 'all'",
        MAIN,
        MARCH,
    )
    # 120 and 60 seconds for lead 1 and its deal, 30 for lead 3.
    expected = (700.3 / 6, 700.3 / 3, 700.3, 1000 / 700.3, 1000 / 6, 3.5 / 6, 1 / 2, 1 / 6, 1 / 6)
    assert row == pytest.approx(expected)
    (none,) = asked(
        company,
        "select cost_per_request, cost_per_won_request, won_amount_per_request "
        "from metrics.metric_marketing__by_source where source_key = ? and slice_type = 'source' "
        "and slice_value = '(costs without it)' and period_type = 'month' and starts_on = ?",
        MAIN,
        MARCH,
    )
    assert none == (None, None, None)


def test_deals_without_a_request_are_shown_beside_them(company: Settings) -> None:
    rows = asked(
        company,
        "select starts_on, unrequested_deals_count, unrequested_won_deals_count, "
        "unrequested_won_amount from metrics.metric_marketing__by_source where source_key = ? "
        "and period_type = 'month' and slice_type = 'all' and unrequested_deals_count > 0 "
        "order by 1",
        MAIN,
    )
    assert rows == [
        (dt.date(2025, 1, 1), 1, 1, 2000),
        # Deals 5, 6 and 7; a setter's win is no revenue.
        (MARCH, 3, 1, 150),
        (dt.date(2026, 4, 1), 4, 3, 270),
        (dt.date(2026, 6, 1), 1, 0, None),
    ]


def test_costs_are_spread_over_their_days_up_to_as_of(company: Settings) -> None:
    rows = asked(
        company,
        "select file_line, count(*), min(amount), max(amount), sum(amount), sum(company_amount) "
        "from marts.fct_marketing_costs group by file_line order by file_line",
    )
    assert [tuple(float(n) if n is not None else None for n in row) for row in rows] == [
        (2, 10, 10, 10, 100, 100),
        (3, 3, 3.33, 3.34, 10, 600.30),
        (4, 10, 10, 10, 100, 100),
    ]


@pytest.mark.parametrize(
    ("source", "pipeline", "expected"),
    [
        # Deal 1 left the setters open, behind MEET; the lost deal of the shop never came to WORK.
        (MAIN, "Setters", (6, 1, 1 / 6, 1, 1)),
        (MAIN, "Sales", (6, 1, 1 / 6, 1, 1)),
        (SHOP, "Sales", (3, 1, 1 / 3, 1, 1)),
    ],
)
def test_requests_come_to_key_stages(
    company: Settings, source: str, pipeline: str, expected: tuple[float, ...]
) -> None:
    rows = asked(
        company,
        "select requests_count, reached_count, reached_share, won_requests_count, "
        "won_of_reached_share from metrics.metric_marketing__by_stage where source_key = ? "
        "and pipeline_name = ? and period_type = 'month' and starts_on = ? and slice_type = 'all'",
        source,
        pipeline,
        MARCH,
    )
    assert rows == [pytest.approx(expected)]


def test_requests_are_listed_with_their_age_and_owner(company: Settings) -> None:
    rows = asked(
        company,
        "select leads.lead_id, requests.request_state, requests.stage_name, "
        "requests.employee_name, requests.age_days, requests.first_touch_after_seconds, "
        "requests.current_card_key = deals.deal_key "
        "from metrics.metric_requests__by_request as requests "
        "inner join marts.fct_leads as leads on requests.request_card_key = leads.lead_key "
        "left join marts.fct_deals as deals on leads.first_deal_key = deals.deal_key "
        "where lead_id in (1, 2, 3) order by 1",
    )
    assert rows == [
        (1, "won", "Won", "Boris", 100, 600, True),
        (2, "lost", "Junk", "Anna Test", 100, 86_400, None),
        # Who has left is named for nothing that describes now; the call came when the lead did.
        (3, "open", "New", "Former employees (to reassign)", 95, 0, None),
    ]
    by_stage = asked(
        company,
        "select stage_name, request_state, employee_name, requests_count, age_days_mean "
        "from metrics.metric_requests__by_stage where source_key = ? order by 1, 2",
        MAIN,
    )
    assert by_stage == [
        ("Converted", "other", "Anna Test", 2, 90),
        ("Junk", "lost", "Anna Test", 2, 99),
        ("New", "open", "Former employees (to reassign)", 1, 95),
        ("Won", "won", "Boris", 1, 100),
    ]


def test_a_journey_follows_the_link_the_moved_deal_and_the_next_deal(company: Settings) -> None:
    rows = asked(
        company,
        "select coalesce('lead ' || entry_leads.lead_id, 'deal ' || entry_deals.deal_id), "
        "string_agg(steps.step_number || ' ' || steps.step_basis, ', ' "
        "order by steps.step_number), any_value(journeys.journey_state), "
        "any_value(journeys.cards_count), any_value(journeys.won_amount) "
        "from metrics.metric_journeys__by_journey as journeys "
        "inner join metrics.metric_journey_steps__by_journey as steps using (journey_key) "
        "left join marts.fct_leads as entry_leads "
        "on journeys.entry_card_key = entry_leads.lead_key "
        "left join marts.fct_deals as entry_deals "
        "on journeys.entry_card_key = entry_deals.deal_key "
        "where journeys.source_key = ? group by 1 order by 1",
        MAIN,
    )
    assert rows == [
        *((f"deal {n}", "3 start, 4 stage", "won", 1, a) for n, a in ((20, 150), (21, 100))),
        ("deal 22", "3 start, 4 stage", "won", 1, 20),
        ("deal 7", "3 start", "lost", 1, None),
        ("deal 8", "3 start", "open", 1, None),
        ("deal 9", "3 start, 4 stage", "won", 1, 2000),
        ("lead 1", "1 start, 2 link, 3 moved, 4 stage", "won", 2, 1000),
        ("lead 2", "1 start", "lost", 1, None),
        ("lead 3", "1 start", "open", 1, None),
        ("lead 4", "1 start, 3 client_next_deal", "open", 2, None),
        ("lead 5", "1 start, 2 client_next_deal, 3 client_next_deal, 4 stage", "won", 3, 150),
        ("lead 6", "1 start", "lost", 1, None),
    ]


def test_conversion_and_time_of_each_step(company: Settings) -> None:
    rows = asked(
        company,
        "select step_name, cohort_count, reached_count, previous_reached_count, "
        "came_from_previous_share, first_step_reached_share, began_here_count, linked_count, "
        "moved_count, next_deal_count, stage_count, passed_over_count, open_here_count, "
        "lost_here_count, won_here_count, timed_count, days_from_previous_mean, "
        "days_from_previous_median, won_amount from metrics.metric_journeys__by_step "
        "where source_key = ? and month_start_on = ? and slice_type = 'all' order by step_number",
        MAIN,
        MARCH,
    )
    assert rows == [
        ("Lead", 6, 6, 0, None, 1, 6, 0, 0, 0, 0, 0, 1, 2, 0, 0, None, None, 1150),
        # Lead 4 passed the setters over. One and two days.
        ("Setter", 6, 3, 6, 0.5, 0.5, 0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 1.5, 1.5, 1150),
        # Deal 7 begins here. 2, 20 and 13 days.
        ("Deal", 7, 4, 3, 1, 0.5, 1, 0, 1, 2, 0, 0, 1, 1, 0, 3, pytest.approx(35 / 3), 13, 1150),
        ("Sale", 7, 2, 4, 0.5, pytest.approx(1 / 3), 0, 0, 0, 0, 2, 0, 0, 0, 2, 2, 9, 9, 1150),
    ]


def test_without_a_file_the_funnel_is_leads_setters_sales_and_the_win(company: Settings) -> None:
    rows = asked(
        company,
        "select funnel_name, step_number, step_name, cohort_count, reached_count "
        "from metrics.metric_journeys__by_step where source_key = ? and slice_type = 'all' "
        "order by step_number",
        SHOP,
    )
    assert rows == [("Sales", 1, "Sales", 3, 3), ("Sales", 2, "Won", 3, 1)]


def test_each_client_has_a_category_an_owner_and_a_class(company: Settings) -> None:
    rows = asked(
        company,
        "select clients.client_id, base.client_category, base.employee_name, "
        "base.client_owner_basis, base.is_ownerless, base.open_amount, base.won_count, "
        "base.won_12_months_amount, base.abc_class, base.days_since_contact "
        "from metrics.metric_clients__by_client as base "
        "inner join marts.dim_clients as clients using (client_key) where base.source_key = ? "
        "order by 1",
        MAIN,
    )
    former = "Former employees (to reassign)"
    never, anna = "never_contacted", "Anna Test"
    assert rows == [
        (5, never, "(not set)", "none", True, None, 0, None, None, None),
        (11, "buyer_asleep", "Boris", "last_card", False, None, 1, 1000, "A", 98),
        (12, never, anna, "last_card", False, None, 0, None, None, None),
        (13, "prospect_asleep", former, "open_card", True, None, 0, None, None, 95),
        (14, never, "Boris", "open_card", False, 300, 0, None, None, None),
        # 15 and 20 have equal amounts: both stand behind 1000 of 1420.
        (15, "active", anna, "last_card", False, None, 1, 150, "A", 40),
        (16, "active", anna, "open_card", False, None, 0, None, None, 25),
        (17, never, anna, "last_card", False, None, 1, None, None, None),
        (18, never, "Boris", "client", False, None, 0, None, None, None),
        (20, never, anna, "last_card", False, None, 1, 150, "A", None),
        (21, never, anna, "last_card", False, None, 1, 100, "B", None),
        (22, never, anna, "last_card", False, None, 1, 20, "C", None),
    ]


def test_cards_without_a_client_and_connections_without_calls_say_so(company: Settings) -> None:
    rows = asked(
        company,
        "select clients.client_id, base.client_category, base.open_cards_count, "
        "base.open_amount, base.is_contacted_in_90_days "
        "from metrics.metric_clients__by_client as base "
        "left join marts.dim_clients as clients using (client_key) where base.source_key = ? "
        "order by 1 nulls last",
        SHOP,
    )
    assert rows == [
        (31, "unknown", 0, None, None),
        (32, "unknown", 0, None, None),
        (None, "no_client", 1, 70, None),
    ]


def test_owners_have_spoken_with_some_of_their_clients(company: Settings) -> None:
    rows = asked(
        company,
        "select employee_name, clients_count, contacted_in_30_days_count, "
        "contacted_in_30_days_share, contacted_in_90_days_count, contacted_in_90_days_share, "
        "never_contacted_count, open_amount from metrics.metric_client_base__by_employee "
        "where source_key = ? order by 1",
        MAIN,
    )
    assert rows == [
        ("(not set)", 1, 0, 0, 0, 0, 1, None),
        ("Anna Test", 7, 1, pytest.approx(1 / 7), 2, pytest.approx(2 / 7), 5, None),
        ("Boris", 3, 0, 0, 0, 0, 2, 300),
        ("Former employees (to reassign)", 1, 0, 0, 0, 0, 0, None),
    ]
    shop = asked(
        company,
        "select clients_count, contacted_in_90_days_count, contacted_in_90_days_share "
        "from metrics.metric_client_base__by_employee where source_key = ?",
        SHOP,
    )
    assert shop == [(2, None, None)]


@pytest.mark.parametrize(
    ("truth", "damage", "told"),
    [
        (
            "assert_marketing_adds_up_to_its_facts",
            "delete from metrics.metric_requests__by_request where request_state = 'open'",
            "requests one by one",
        ),
        (
            "assert_marketing_adds_up_to_its_facts",
            "update metrics.metric_marketing__by_day set cost_amount = cost_amount + 0.01 "
            "where source_name = 'Site'",
            "costs",
        ),
        (
            "assert_marketing_adds_up_to_its_facts",
            "update metrics.metric_marketing__by_day set unrequested_won_deals_count = 0",
            "won deals",
        ),
        (
            "assert_marketing_adds_up_to_its_facts",
            "delete from metrics.metric_marketing__by_source where slice_value = 'y'",
            "requests_count by utm_source",
        ),
        (
            "assert_journeys_hold_every_card_once",
            "update metrics.metric_journeys__by_journey set cards_count = 1",
            "cards",
        ),
        (
            "assert_journeys_hold_every_card_once",
            "update metrics.metric_journeys__by_step set passed_over_count = 0",
            "ways to step 2",
        ),
        (
            "assert_the_client_base_adds_up_to_its_cards",
            "delete from metrics.metric_clients__by_client where client_key is null",
            "open cards",
        ),
        (
            "assert_the_client_base_adds_up_to_its_cards",
            "update metrics.metric_client_base__by_employee set clients_count = 1",
            "clients of owners",
        ),
    ],
)
def test_truths_fire(company: Settings, tmp_path: Path, truth: str, damage: str, told: str) -> None:
    copy = tmp_path / company.warehouse.name
    shutil.copy(company.warehouse, copy)
    compiled = company.dbt_target_dir / f"compiled/callfunnel/expectations/sql/{truth}.sql"
    with duckdb.connect(str(copy)) as connection:
        asked = compiled.read_text(encoding="utf-8")
        assert connection.execute(asked).fetchall() == []
        connection.execute(damage)
        assert told in {row[0] for row in connection.execute(asked).fetchall()}
