"""A company's rules are checked before anything runs, and errors say where to look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sources.company.rules import (
    Company,
    DismissalRow,
    PipelineRow,
    StageRow,
    read_company,
)
from sources.errors import InputError

MINIMAL = [
    "[company]",
    'name = "Ромашка"',
    'time_zone = "Europe/Moscow"',
    "",
    "[connections.bitrix24.main]",
]

Write = Callable[..., Path]


@pytest.fixture
def company(tmp_path: Path) -> Write:
    """Writes companies/acme: `company(toml=[...], pipelines=[...])`."""

    def write(toml: list[str] | bytes = MINIMAL, **files: list[str] | bytes) -> Path:
        folder = tmp_path / "companies" / "acme"
        folder.mkdir(parents=True)
        names: dict[str, Any] = {"company.toml": toml}
        names |= {f"{name}.csv": content for name, content in files.items()}
        for name, content in names.items():
            raw = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
            (folder / name).write_bytes(raw)
        return folder

    return write


def complaint(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_company(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_name_and_a_zone_and_a_connection_are_enough(company: Write) -> None:
    read = read_company(company())
    assert read.key == "acme"
    rules = read.rules
    assert (rules.company.name, rules.company.time_zone) == ("Ромашка", "Europe/Moscow")
    assert (rules.company.language, rules.company.currency, rules.company.phone_region) == (
        "en",
        "RUB",
        "RU",
    )
    assert rules.schedule.cron == "0 5 * * *"
    assert rules.calls.model_dump() == {
        "successful_call_seconds": 40,
        "call_starts_card_minutes": 60,
        "after_close_days": 30,
        "callback_hours": 24,
        "contact_seconds": 10,
        "shared_lines": "count",
    }
    assert rules.quality.model_dump() == {
        "mass_move_cards": 20,
        "mass_move_minutes": 5,
        "required_card_fields": [],
        "long_call_hours": 4,
        "duplicate_call_seconds": 5,
        "method_share_move": 0.1,
        "unknown_number_share": 0.5,
        "share_calls_min": 50,
        "stale_hours": 36,
        "usual_rows_min": 10,
    }
    assert rules.reports.model_dump() == {
        "forgotten_days": 20,
        "open_cards_limit": 60,
        "health_cards_min": 20,
        "turbulence_share": 0.15,
        "accumulation_factor": 2,
        "accumulation_share": 0.4,
        "insufficiency_share": 0.8,
        "graveyard_share": 0.2,
        "graveyard_days": 30,
        "signal_cases_min": 20,
        "short_call_seconds": 20,
        "short_calls_factor": 2,
        "record_months_min": 6,
        "few_calls_share": 0.7,
        "many_wins_share": 1.2,
        "trace_minutes": 60,
        "untraced_factor": 1.5,
        "canned_repeats": 5,
        "canned_share": 0.5,
        "alarm_drop_share": 0.3,
        "asleep_days": 90,
        "next_deal_days": 90,
    }
    assert list(rules.working_hours.model_dump().values()) == ["09:00-18:00"] * 5 + ["", ""]
    assert rules.publish.keep_generations == 3
    assert rules.connections.bitrix24["main"].talk_basis == "unknown"
    assert rules.connections.bitrix24["main"].portal_url is None
    assert rules.segments == {}
    assert (read.pipelines, read.stages, read.dismissals) == ((), (), ())


def test_every_rule_can_be_set(company: Write) -> None:
    rules = read_company(
        company(
            [
                "[company]",
                'name = "Acme"',
                'time_zone = "America/New_York"',
                'language = "uk"',
                'currency = "USD"',
                'phone_region = "US"',
                "[schedule]",
                'cron = "30 2 * * 1-5"',
                "[calls]",
                "successful_call_seconds = 0",
                "call_starts_card_minutes = 15",
                "after_close_days = 0",
                "callback_hours = 1",
                "contact_seconds = 0",
                'shared_lines = "hold_back"',
                "[working_hours]",
                'monday = "00:00-24:00"',
                'sunday = "10:30-14:00"',
                "[quality]",
                "mass_move_cards = 3",
                "mass_move_minutes = 60",
                'required_card_fields = ["owner", "grade"]',
                "long_call_hours = 2.5",
                "duplicate_call_seconds = 9",
                "method_share_move = 0.2",
                "unknown_number_share = 0.6",
                "share_calls_min = 7",
                "stale_hours = 48",
                "usual_rows_min = 3",
                "[reports]",
                "forgotten_days = 7",
                "open_cards_limit = 25",
                "health_cards_min = 5",
                "turbulence_share = 0.3",
                "accumulation_factor = 2.5",
                "accumulation_share = 0.6",
                "insufficiency_share = 1.1",
                "graveyard_share = 0.5",
                "graveyard_days = 45",
                "signal_cases_min = 6",
                "short_call_seconds = 15",
                "short_calls_factor = 3",
                "record_months_min = 12",
                "few_calls_share = 0.5",
                "many_wins_share = 1.5",
                "trace_minutes = 30",
                "untraced_factor = 2",
                "canned_repeats = 3",
                "canned_share = 0.8",
                "alarm_drop_share = 0.5",
                "asleep_days = 60",
                "next_deal_days = 0",
                "[publish]",
                "keep_generations = 7",
                "[connections.bitrix24.main]",
                'talk_basis = "talk"',
                'portal_url = "https://acme.bitrix24.com"',
                "[connections.bitrix24.second_portal]",
                "[segments]",
                'product = "UF_CRM_PRODUCT"',
            ]
        )
    ).rules
    assert rules.company.model_dump() == {
        "name": "Acme",
        "time_zone": "America/New_York",
        "language": "uk",
        "currency": "USD",
        "phone_region": "US",
    }
    assert rules.schedule.cron == "30 2 * * 1-5"
    assert list(rules.calls.model_dump().values()) == [0, 15, 0, 1, 0, "hold_back"]
    assert list(rules.reports.model_dump().values()) == [
        *(7, 25, 5, 0.3, 2.5, 0.6, 1.1, 0.5, 45, 6, 15, 3, 12, 0.5, 1.5, 30, 2, 3, 0.8, 0.5),
        *(60, 0),
    ]
    assert (rules.working_hours.monday, rules.working_hours.sunday) == (
        "00:00-24:00",
        "10:30-14:00",
    )
    assert list(rules.quality.model_dump().values()) == [
        3,
        60,
        ["owner", "grade"],
        2.5,
        9,
        0.2,
        0.6,
        7,
        48,
        3,
    ]
    assert rules.publish.keep_generations == 7
    assert list(rules.connections.bitrix24) == ["main", "second_portal"]
    assert rules.segments["product"]["bitrix24"] == "UF_CRM_PRODUCT"


def test_csv_files_are_read_in_any_column_order(company: Write) -> None:
    read = read_company(
        company(
            pipelines="\ufeffrole,connection,pipeline_id\r\nsetter,main,2\r\n".encode(),
            stages=[
                "connection,pipeline_id,stage_id,role",
                "main,0,NEW,key",
                "main,0,NEW,qualified",
                'main,2,"C2:A,B",payment',
            ],
            dismissals=["connection,employee_id,dismissed_on", "", "main,7,2026-02-01"],
        )
    )
    assert read.pipelines == (
        PipelineRow(connection="bitrix24:main", line=2, pipeline_id=2, role="setter"),
    )
    assert [(row.stage_id, row.role) for row in read.stages] == [
        ("NEW", "key"),
        ("NEW", "qualified"),
        ("C2:A,B", "payment"),
    ]
    assert isinstance(read.stages[0], StageRow)
    assert read.dismissals == (
        DismissalRow(
            connection="bitrix24:main", line=3, employee_id=7, dismissed_on=dt.date(2026, 2, 1)
        ),
    )


def test_connections_of_both_systems_are_told_apart_in_csv_files(company: Write) -> None:
    read = read_company(
        company(
            toml=[*MINIMAL, "[connections.amocrm.main]", "[connections.amocrm.shop]"],
            employees=[
                "connection,employee_id,employee_name,department",
                "amocrm:main,7,Анна Смирнова,Продажи",
                "shop,7,Пётр Иванов,",
                "bitrix24:main,7,Ольга Орлова,",
            ],
        )
    )
    assert [(row.connection, row.employee_name, row.department) for row in read.employees] == [
        ("amocrm:main", "Анна Смирнова", "Продажи"),
        ("amocrm:shop", "Пётр Иванов", ""),
        ("bitrix24:main", "Ольга Орлова", ""),
    ]


def test_accounts_of_one_person_carry_the_same_text(company: Write) -> None:
    """Spaces around the text say nothing; a person with one account is no error."""
    read = read_company(
        company(
            toml=[*MINIMAL, "[connections.amocrm.shop]"],
            employees=[
                "person,connection,employee_id,employee_name,department",
                "Anna,main,7,Anna Smirnova,Sales",
                " Anna ,shop,3,A. Smirnova,",
                ",main,8,Boris,",
                "  ,main,9,Clara,",
                "anna,main,10,Another Anna,",
            ],
        )
    )
    assert [(row.connection, row.employee_id, row.person) for row in read.employees] == [
        ("bitrix24:main", 7, "Anna"),
        ("amocrm:shop", 3, "Anna"),
        ("bitrix24:main", 8, None),
        ("bitrix24:main", 9, None),
        ("bitrix24:main", 10, "anna"),
    ]


def test_employees_may_lack_the_column_of_persons(company: Write) -> None:
    read = read_company(
        company(employees=["connection,employee_id,employee_name,department", "main,7,Anna,"])
    )
    assert [row.person for row in read.employees] == [None]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["connection,employee_id,employee_name,department,persona"],
            "line 1: the columns must be connection,employee_id,employee_name,department,person "
            "(person is optional), found connection,employee_id,employee_name,department,persona",
        ),
        (
            ["connection,employee_id,employee_name,person"],
            "line 1: the columns must be connection,employee_id,employee_name,department,person "
            "(person is optional), found connection,employee_id,employee_name,person",
        ),
        (
            ["connection,employee_id,employee_name,department,person,person"],
            "line 1: the columns must be connection,employee_id,employee_name,department,person "
            "(person is optional), found "
            "connection,employee_id,employee_name,department,person,person",
        ),
        (
            ["connection,employee_id,employee_name,department,person", "main,7,Anna,"],
            "line 2: 4 values for 5 columns",
        ),
        (
            [
                "connection,employee_id,employee_name,department,person",
                "main,7,Anna,,Anna",
                "main,7,Anna,,Boris",
            ],
            "line 3: bitrix24:main, 7 stands in line 2 already",
        ),
        (
            ["connection,employee_id,employee_name,department,person", "main,7,,,Anna"],
            "line 2, column employee_name: String should have at least 1 character (found '')",
        ),
    ],
    ids=[
        "another column",
        "a required column is missing",
        "a column twice",
        "a value is missing",
        "one account is two people's",
        "a person alone is no name",
    ],
)
def test_errors_in_employees_name_file_and_line(
    company: Write, lines: list[str], message: str
) -> None:
    assert complaint(company(employees=lines)) == f"companies/acme/employees.csv, {message}"


def test_an_absent_file_has_no_rows(company: Write) -> None:
    read = read_company(company())
    assert (read.currency_rates, read.absences, read.owners) == ((), (), ())
    assert (read.payments, read.goals, read.norms) == ((), (), ())


def test_rates_absences_owners_and_payments_are_read(company: Write) -> None:
    read = read_company(
        company(
            currency_rates=["currency,valid_from,rate", "USD,2026-01-01,90.5", "USD,2026-02-01,91"],
            absences=["connection,employee_id,from_on,until_on", "main,7,2026-03-02,2026-03-03"],
            owners=[
                "connection,deal_id,employee_id,owned_from",
                "main,1,7,",
                "main,1,8,2026-03-02",
            ],
            payments=[
                "connection,deal_id,paid_on,amount,currency,payment_id",
                "main,1,2026-03-02,100,,",
                "main,1,2026-03-02,100,,",
                "main,1,2026-03-03,-20.50,USD,R-1",
            ],
        )
    )
    assert [(row.currency, row.valid_from.month, row.rate) for row in read.currency_rates] == [
        ("USD", 1, Decimal("90.5")),
        ("USD", 2, Decimal(91)),
    ]
    (absence,) = read.absences
    assert (absence.from_on, absence.until_on) == (dt.date(2026, 3, 2), dt.date(2026, 3, 3))
    assert [(row.employee_id, row.owned_from) for row in read.owners] == [
        (7, None),
        (8, dt.date(2026, 3, 2)),
    ]
    assert [(row.amount, row.currency, row.payment_id) for row in read.payments] == [
        (Decimal(100), None, None),
        (Decimal(100), None, None),
        (Decimal("-20.50"), "USD", "R-1"),
    ]


def test_sellers_are_employees_and_departments(company: Write) -> None:
    read = read_company(
        company(sellers=["connection,employee_id,department", "main,7,", ",,Sales", ",,Wholesale"])
    )
    assert [(row.connection, row.employee_id, row.department) for row in read.sellers] == [
        ("bitrix24:main", 7, None),
        (None, None, "Sales"),
        (None, None, "Wholesale"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("main,7,Sales", "names either an employee or a department"),
        (",,", "names either an employee or a department"),
        (",7,", "a connection stands with an employee_id, and only there"),
        ("main,,Sales", "a connection stands with an employee_id, and only there"),
    ],
)
def test_a_seller_is_one_of_both(company: Write, line: str, message: str) -> None:
    folder = company(sellers=["connection,employee_id,department", line])
    assert complaint(folder) == f"companies/acme/sellers.csv, line 2: {message}"


COSTS = "connection,source,utm_source,utm_medium,utm_campaign,from_on,until_on,amount,currency"


def test_marketing_costs_name_a_source_or_tags(company: Write) -> None:
    read = read_company(
        company(
            marketing_costs=[
                COSTS,
                "main,Site,,,,2026-03-01,2026-04-01,100.50,",
                "main,Site,,,,2026-04-01,2026-05-01,100.50,",
                "main,,yandex,cpc,spring,2026-03-01,2026-03-02,0,USD",
            ]
        )
    )
    assert [
        (row.connection, row.source, row.utm_source, row.utm_campaign, row.amount, row.currency)
        for row in read.marketing_costs
    ] == [
        ("bitrix24:main", "Site", None, None, Decimal("100.50"), None),
        ("bitrix24:main", "Site", None, None, Decimal("100.50"), None),
        ("bitrix24:main", None, "yandex", "spring", Decimal(0), "USD"),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["main,,,,,2026-03-01,2026-04-01,1,"], "line 2: names a source or a UTM tag, or both"),
        (
            ["main,Site,,,,2026-03-01,2026-03-01,1,"],
            "line 2: until_on must be after from_on (2026-03-01)",
        ),
        (["main,Site,,,,2026-03-01,2026-04-01,-1,"], "line 2, column amount: Input should be"),
        (["main,Site,,,,2026-03-01,2026-04-01,1,rub"], "line 2, column currency:"),
        (["shop,Site,,,,2026-03-01,2026-04-01,1,"], "company.toml has no CRM connection 'shop'"),
        (
            ["main,Site,,,,2026-03-01,2026-04-01,1,", "main,Site,,,,2026-03-01,2026-04-01,2,"],
            "line 3: bitrix24:main, Site, 2026-03-01, 2026-04-01 stands in line 2 already",
        ),
    ],
)
def test_a_wrong_cost_is_named_with_its_line(company: Write, lines: list[str], said: str) -> None:
    message = complaint(company(marketing_costs=[COSTS, *lines]))
    assert message.startswith("companies/acme/marketing_costs.csv, line ")
    assert said in message


STEPS = "connection,funnel,step_number,step_name,pipeline_id,stage_id"


def test_steps_of_journeys_stand_on_leads_pipelines_and_stages(company: Write) -> None:
    read = read_company(
        company(
            journey_steps=[
                STEPS,
                "main,Retail,1,Lead,leads,",
                "main,Retail,2,Deal,0,",
                "main,Retail,2,Deal,4,",
                "main,Retail,3,Contract,0,EXECUTING",
                "main,Wholesale,1,Deal,1,",
            ]
        )
    )
    assert [
        (row.funnel, row.step_number, row.pipeline_id, row.stage_id) for row in read.journey_steps
    ] == [
        ("Retail", 1, -1, None),
        ("Retail", 2, 0, None),
        ("Retail", 2, 4, None),
        ("Retail", 3, 0, "EXECUTING"),
        ("Wholesale", 1, 1, None),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["main,Retail,0,Lead,leads,"], "line 2, column step_number: Input should be greater"),
        (["main,Retail,1,Lead,lead,"], "line 2, column pipeline_id: Input should be a valid int"),
        (["main,,1,Lead,leads,"], "line 2, column funnel:"),
        (
            ["main,Retail,1,Lead,leads,", "main,Repeat,1,Lead,leads,"],
            "line 3: pipeline leads is of the funnel Retail already, line 2",
        ),
        (
            ["main,Retail,1,Deal,0,NEW", "main,Retail,2,Offer,0,NEW"],
            "line 3: pipeline 0, stage NEW, is a place of step 1 already, line 2",
        ),
        (
            ["main,Retail,1,Lead,leads,", "main,Retail,1,Leads,2,"],
            "line 3: step 1 of the funnel Retail is called Lead in line 2",
        ),
        (
            ["main,Retail,1,Lead,leads,", "main,Retail,1,Lead,leads,"],
            "line 3: bitrix24:main, Retail, 1, -1 stands in line 2 already",
        ),
    ],
)
def test_a_wrong_step_is_named_with_its_line(company: Write, lines: list[str], said: str) -> None:
    message = complaint(company(journey_steps=[STEPS, *lines]))
    assert message.startswith("companies/acme/journey_steps.csv, line ")
    assert said in message


def test_goals_and_norms_are_for_an_employee_a_department_or_the_company(company: Write) -> None:
    read = read_company(
        company(
            goals=[
                "metric,stage,connection,employee_id,department,period,starts_on,value",
                "won_amount,,,,,month,2026-03-01,1000000",
                "won,,main,7,,quarter,2026-01-01,30",
                "calls,,,,Sales,week,2026-03-02,500",
                "stage_entries,1:C1:OFFER,,,Sales,year,2026-01-01,12",
                "stage_entries,,,,,day,2026-03-02,0",
            ],
            norms=[
                "metric,stage,connection,employee_id,department,period,valid_from,value",
                "calls,,main,7,,day,2026-03-04,40",
                "calls,,main,7,,day,2026-03-05,50",
            ],
        )
    )
    targets = [
        (row.metric, row.stage_place, row.connection, row.employee_id, row.department)
        for row in read.goals
    ]
    assert targets == [
        ("won_amount", (None, None), None, None, None),
        ("won", (None, None), "bitrix24:main", 7, None),
        ("calls", (None, None), None, None, "Sales"),
        ("stage_entries", (1, "C1:OFFER"), "bitrix24:main", None, "Sales"),
        ("stage_entries", (None, None), None, None, None),
    ]
    assert [row.value for row in read.norms] == [40, 50]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"currency_rates": ["currency,valid_from,rate", "usd,2026-01-01,90"]},
            ["currency_rates.csv, line 2, column currency:", "'usd'"],
        ),
        (
            {"currency_rates": ["currency,valid_from,rate", "USD,2026-01-01,0"]},
            ["currency_rates.csv, line 2, column rate:", "greater than 0"],
        ),
        (
            {"currency_rates": ["currency,valid_from,rate", "RUB,2026-01-01,1"]},
            ["currency_rates.csv, line 2: RUB is the company's own currency"],
        ),
        (
            {"currency_rates": ["currency,valid_from,rate", *["USD,2026-01-01,90"] * 2]},
            ["currency_rates.csv, line 3: USD, 2026-01-01 stands in line 2 already"],
        ),
        (
            {"absences": ["connection,employee_id,from_on,until_on", *["main,7,2026-03-02,"]]},
            ["absences.csv, line 2, column until_on:"],
        ),
        (
            {
                "absences": [
                    "connection,employee_id,from_on,until_on",
                    "main,7,2026-03-02,2026-03-02",
                ]
            },
            ["absences.csv, line 2: until_on must be after from_on (2026-03-02)"],
        ),
        (
            {"owners": ["connection,deal_id,employee_id,owned_from", *["main,1,7,", "main,1,8,"]]},
            ["owners.csv, line 3: bitrix24:main, 1 stands in line 2 already"],
        ),
        (
            {
                "payments": [
                    "connection,deal_id,paid_on,amount,currency,payment_id",
                    "main,1,2026-03-02,100,RUB,A",
                    "main,2,2026-03-02,100,RUB,A",
                ]
            },
            ["payments.csv, line 3: bitrix24:main, A stands in line 2 already"],
        ),
        (
            {
                "payments": [
                    "connection,deal_id,paid_on,amount,currency,payment_id",
                    "main,1,2026-03-02,100.005,,",
                ]
            },
            ["payments.csv, line 2, column amount:", "2 decimal places", "'100.005'"],
        ),
        (
            {
                "payments": [
                    "connection,deal_id,paid_on,amount,currency,payment_id",
                    "main,1,2026-03-02,100,Rub,",
                ]
            },
            ["payments.csv, line 2, column currency:", "'Rub'"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_line_of_money_absences_and_owners_is_named(
    company: Write, files: dict[str, Any], said: list[str]
) -> None:
    message = complaint(company(**files))
    assert [words for words in said if words not in message] == [], message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("call,,,,,day,2026-03-02,1", "column metric: is not a metric: one of calls, success"),
        ("won,0:NEW,,,,day,2026-03-02,1", "a stage stands with the metric stage_entries only"),
        ("stage_entries,NEW,,,,day,2026-03-02,1", "column stage: must be <pipeline_id>:<stage_id>"),
        (
            "won,,main,7,Sales,day,2026-03-02,1",
            "is for an employee or for a department, not for both",
        ),
        ("won,,,7,,day,2026-03-02,1", "an employee_id needs its connection"),
        ("won,,main,,,day,2026-03-02,1", "a connection stands with an employee_id or a stage"),
        ("won,,other,7,,day,2026-03-02,1", "company.toml has no CRM connection 'other'"),
        ("won,,,,,hour,2026-03-02,1", "column period: Input should be 'day'"),
        ("won,,,,,day,2026-03-02,-1", "column value: Input should be greater than or equal to 0"),
        ("won,,,,,week,2026-03-03,1", "starts_on must be the first day of a week"),
        ("won,,,,,month,2026-03-02,1", "starts_on must be the first day of a month"),
        ("won,,,,,quarter,2026-03-01,1", "starts_on must be the first day of a quarter"),
        ("won,,,,,year,2026-02-01,1", "starts_on must be the first day of a year"),
    ],
)
def test_a_wrong_goal_is_named_with_its_line(company: Write, line: str, said: str) -> None:
    header = "metric,stage,connection,employee_id,department,period,starts_on,value"
    message = complaint(company(goals=[header, "won,,,,,month,2026-03-01,5", line]))
    assert message.startswith("companies/acme/goals.csv, line 3")
    assert said in message, message


def test_a_stage_of_a_company_with_two_systems_needs_its_connection(company: Write) -> None:
    header = "metric,stage,connection,employee_id,department,period,valid_from,value"
    message = complaint(
        company(
            toml=[*MINIMAL, "[connections.amocrm.shop]"],
            norms=[header, "stage_entries,0:NEW,,,,day,2026-03-02,1"],
        )
    )
    assert message == (
        "companies/acme/norms.csv, line 2: a stage needs its connection: the company has 2"
    )


def test_equal_norms_stand_once(company: Write) -> None:
    header = "metric,stage,connection,employee_id,department,period,valid_from,value"
    message = complaint(company(norms=[header, *["won,,,,,day,2026-03-02,1"] * 2]))
    assert message == (
        "companies/acme/norms.csv, line 3: won, day, 2026-03-02 stands in line 2 already"
    )


def test_a_name_that_both_systems_have_must_say_its_system(company: Write) -> None:
    said = complaint(
        company(
            toml=[*MINIMAL, "[connections.amocrm.main]"],
            pipelines=["connection,pipeline_id,role", "main,0,sales"],
        )
    )
    assert "pipelines.csv, line 2: several systems have a connection 'main'" in said
    assert said.endswith("write bitrix24:main or amocrm:main")


def test_a_segment_may_be_another_field_in_each_system(company: Write) -> None:
    toml = [
        *MINIMAL,
        "[connections.amocrm.shop]",
        'source_field = "1234"',
        "[connections.amocrm.shop.tag_sources]",
        '"Выставка" = "Выставки"',
        "[segments]",
        'product = "UF_CRM_PRODUCT"',
        'grade = {amocrm = "GRADE"}',
    ]
    rules = read_company(company(toml=toml)).rules
    assert rules.segments["product"] == {"bitrix24": "UF_CRM_PRODUCT", "amocrm": "UF_CRM_PRODUCT"}
    assert rules.segments["grade"] == {"amocrm": "GRADE"}
    assert rules.connections.amocrm["shop"].source_field == "1234"
    assert rules.connections.amocrm["shop"].tag_sources == {"Выставка": "Выставки"}


@pytest.mark.parametrize("name", ["demo", "demo_amocrm", "replay", "replay_amocrm"])
def test_shipped_companies_are_valid(name: str) -> None:
    read: Company = read_company(Path(__file__).parents[3] / "companies" / name)
    assert read.key == name


# company.toml


@pytest.mark.parametrize(
    ("added", "line", "said"),
    [
        (["[calls]", "succesful_call_seconds = 40"], 7, ["succesful_call_seconds", "known key"]),
        (["colour = 1"], 6, ["connections.bitrix24.main.colour", "is not a known key"]),
        (["[calendar]", "a = 1"], 6, ["calendar", "is not a known key"]),
        (["[calls]", "# text", 'successful_call_seconds = "40"'], 8, ["integer", "'40'"]),
        (["[calls]", "successful_call_seconds = true"], 7, ["successful_call_seconds", "True"]),
        (["[calls]", "successful_call_seconds = 40.5"], 7, ["40.5"]),
        (["[calls]", "successful_call_seconds = -1"], 7, ["greater than or equal to 0", "-1"]),
        (["[calls]", "after_close_days = 4000"], 7, ["calls.after_close_days", "4000"]),
        (["[calls]", 'shared_lines = "share"'], 7, ["'hold_back'", "'share'"]),
        (["[working_hours]", 'monday = "9-18"'], 7, ["working_hours.monday", "09:00-18:00"]),
        (["[working_hours]", 'sunday = "18:00-09:00"'], 7, ["end after they begin"]),
        (["[working_hours]", 'sunday = "10:00-24:01"'], 7, ["end after they begin"]),
        (["[publish]", "keep_generations = 0"], 7, ["publish.keep_generations"]),
        (["[schedule]", 'cron = "every day"'], 7, ["schedule.cron", "cron expression"]),
        (["[schedule]", 'cron = "0 5 * * * *"'], 7, ["cron expression of five fields"]),
        (["[schedule]", 'cron = "61 5 * * *"'], 7, ["cron expression"]),
        (['talk_basis = "all"'], 6, ["talk_basis", "'talk', 'total' or 'unknown'", "'all'"]),
        (['portal_url = "acme.bitrix24.ru"'], 6, ["portal_url", "'acme.bitrix24.ru'"]),
        (["[connections.onec.main]"], 6, ["connections.onec", "is not a known key"]),
        (["[connections.amocrm.a]", "smart_processes = [177]"], 7, ["amocrm.a.smart_processes"]),
        (["[connections.amocrm.a]", "requests_per_second = 51"], 7, ["requests_per_second", "51"]),
        (["[connections.amocrm.a.tag_sources]", "VIP = 1"], 7, ["tag_sources.VIP", "string"]),
        (["[connections.bitrix24.Main-2]"], 6, ["Main-2"]),
        (["[segments]", "product = 5"], 7, ["segments.product", "name of a custom field"]),
        (["[segments]", "product = {onec = 'A'}"], 7, ["segments.product", "'bitrix24'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_rule_is_named_with_its_line(
    company: Write, added: list[str], line: int, said: list[str]
) -> None:
    message = complaint(company([*MINIMAL, *added]))
    assert message.startswith(f"companies/acme/company.toml, line {line}: "), message
    assert [words for words in said if words not in message] == [], message


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (['name = "x"'], ["company.toml"]),
        (
            ["[company]", 'name = "A"', "[connections.bitrix24.main]"],
            ["line 1", "company.time_zone", "is required"],
        ),
        (
            ["[company]", 'name = "A"', 'time_zone = "Moscow"', "[connections.bitrix24.main]"],
            ["line 3", "company.time_zone", "IANA time zone such as Europe/Moscow", "'Moscow'"],
        ),
        (
            ["[company]", 'name = ""', 'time_zone = "UTC"', "[connections.bitrix24.main]"],
            ["line 2", "company.name"],
        ),
        (
            ["[company]", 'name = "A"', 'time_zone = "UTC"', 'phone_region = "RUS"'],
            ["line 4", "phone_region", "two-letter region"],
        ),
        (
            ["[company]", 'name = "A"', 'time_zone = "UTC"', 'currency = "rub"'],
            ["line 4", "company.currency", "'rub'"],
        ),
        (["[company]", 'name = "A"', 'time_zone = "UTC"'], ["connections", "is required"]),
        (["[company]", "name = "], ["line 2"]),
        (["[company]", 'name = "A"', 'name = "B"'], ["line 3"]),
    ],
)
def test_a_company_section_must_be_whole(company: Write, toml: list[str], said: list[str]) -> None:
    message = complaint(company(toml))
    assert message.startswith("companies/acme/company.toml")
    assert [words for words in said if words not in message] == [], message


def test_a_company_file_that_is_not_utf_8_is_named(company: Write) -> None:
    assert complaint(company('[company]\nname = "Ромашка"\n'.encode("cp1251"))).startswith(
        "companies/acme/company.toml: "
    )


# csv files


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"pipelines": ["connection,pipeline,role", "main,0,sales"]},
            ["pipelines.csv, line 1:", "connection,pipeline_id,role", "connection,pipeline,role"],
        ),
        ({"pipelines": ["connection,pipeline_id"]}, ["pipelines.csv, line 1:"]),
        (
            {"pipelines": ["connection,pipeline_id,role,note", "main,0,sales,"]},
            ["pipelines.csv, line 1:", "found connection,pipeline_id,role,note"],
        ),
        ({"pipelines": b""}, ["pipelines.csv, line 1:", "connection,pipeline_id,role"]),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,0,sales", "main,1,selling"]},
            ["pipelines.csv, line 3, column role:", "'sales'", "'selling'"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,first,sales"]},
            ["pipelines.csv, line 2, column pipeline_id:", "integer", "'first'"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,0,sales", "other,1,sales"]},
            ["pipelines.csv, line 3:", "no CRM connection 'other'"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,0"]},
            ["pipelines.csv, line 2:", "2 values for 3 columns"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,0,sales,more"]},
            ["pipelines.csv, line 2:", "4 values for 3 columns"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", "main,0,sales", "", "main,0,ignore"]},
            ["pipelines.csv, line 4:", "main, 0", "line 2 already"],
        ),
        (
            {"pipelines": ["connection,pipeline_id,role", 'main,0,"sales']},
            ["pipelines.csv, line 2:", "not readable as csv"],
        ),
        (
            {"stages": ["connection,pipeline_id,stage_id,role", "main,0,,key"]},
            ["stages.csv, line 2, column stage_id:"],
        ),
        (
            {"stages": ["connection,pipeline_id,stage_id,role", *["main,0,NEW,key"] * 2]},
            ["stages.csv, line 3:", "line 2 already"],
        ),
        (
            {"stages": "connection,pipeline_id,stage_id,role\nmain,0,Счёт,key\n".encode("cp1251")},
            ["stages.csv", "is not UTF-8"],
        ),
        (
            {"dismissals": ["connection,employee_id,dismissed_on", "main,7,01.02.2026"]},
            ["dismissals.csv, line 2, column dismissed_on:", "date", "'01.02.2026'"],
        ),
        (
            {
                "dismissals": [
                    "connection,employee_id,dismissed_on",
                    "main,7,2026-01-01",
                    "main,7,2026-02-01",
                ]
            },
            ["dismissals.csv, line 3:", "main, 7", "line 2 already"],
        ),
        (
            {"calendar": ["date_day,working_hours", "2026-01-01,", "2026-01-02,10-16"]},
            ["calendar.csv, line 3, column working_hours:", "09:00-18:00", "'10-16'"],
        ),
        (
            {"calendar": ["date_day,working_hours", "2026-01-01,", "2026-01-01,10:00-16:00"]},
            ["calendar.csv, line 3:", "2026-01-01", "line 2 already"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_csv_file_is_named_with_line_and_column(
    company: Write, files: dict[str, Any], said: list[str]
) -> None:
    message = complaint(company(**files))
    assert message.startswith("companies/acme/"), message
    assert [words for words in said if words not in message] == [], message


# Folders


def test_an_unknown_company_is_told_with_the_known_ones(company: Write) -> None:
    message = complaint(company().parent / "other")
    assert "companies/other" in message
    assert "known companies: acme" in message


def test_a_folder_without_company_toml_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "companies" / "empty"
    folder.mkdir(parents=True)
    assert complaint(folder) == (
        "companies/empty/company.toml is missing: copy companies/demo/company.toml."
    )


@pytest.mark.parametrize("name", ["Acme", "my-company", "2fast", "компания", "acme__two"])
def test_a_folder_name_must_fit_into_asset_keys(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "companies" / name
    folder.mkdir(parents=True)
    assert "lower-case letters, digits and _" in complaint(folder)
