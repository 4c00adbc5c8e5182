"""What raw keeps beside the present: versions of users, details that have left, refusals."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from sources.bitrix24.details import ACTIVITY_BINDINGS, PRODUCT_ROWS, TIMELINE_COMMENTS, Owner
from sources.bookkeeping import Books, EntityLoad
from sources.demo.store import PortalStore
from tests.support.companies import (
    WITHOUT_TESTS,
    dbt_build,
    load_company_rules,
    make_company,
    warehouse,
)
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal
from tests.support.raw import clock_of, mark_read, write_raw

MAIN = "bitrix24:main"
DAY = 24 * 60
LAST_DAY = 10
CUT = NOON + dt.timedelta(days=LAST_DAY)


def on_day(day: float) -> dt.datetime:
    """Noon UTC of a day after 2 March 2026."""
    return NOON + dt.timedelta(days=day)


def portal(path: Path) -> PortalStore:
    store = make_portal(path, clock_minutes=LAST_DAY * DAY)
    store.insert(
        "user",
        [
            {"ID": 2, "ACTIVE": 0, "NAME": "Boris", "LAST_NAME": "Left"},
            {"ID": 3, "ACTIVE": 1, "NAME": "Clara", "LAST_NAME": "Missing"},
            {"ID": 5, "ACTIVE": 0, "NAME": "Egor", "LAST_NAME": "Never", "LAST_LOGIN": at(0)},
            {"ID": 6, "ACTIVE": 1, "NAME": "Fedor", "LAST_NAME": "Back"},
            {"ID": 7, "ACTIVE": 0, "NAME": "Galina", "LAST_NAME": "Undated"},
        ],
    )
    # The number of a pipeline of deals, of another entity type.
    store.insert("category", [{"ID": 40, "NAME": "Bills", "SORT": 1, "ENTITY_TYPE_ID": 31}])
    store.insert(
        "status",
        [
            {"ID": 900, "ENTITY_ID": "STATUS", "STATUS_ID": "NEW", "NAME": "New lead"},
            {"ID": 901, "ENTITY_ID": "SMART_INVOICE_STAGE_0", "STATUS_ID": "DT31_0:N"},
        ],
    )
    region = [{"ID": 44, "VALUE": "North"}, {"ID": 46, "VALUE": "South"}]
    store.insert(
        "custom_field",
        [
            {
                "ID": 1,
                "ENTITY_TYPE": "deal",
                "FIELD_NAME": "UF_CRM_PRODUCT",
                "USER_TYPE": "enumeration",
                "LABEL": "Region",
                "ITEMS": region,
            },
            {
                "ID": 2,
                "ENTITY_TYPE": "deal",
                "FIELD_NAME": "UF_CRM_GRADE",
                "USER_TYPE": "string",
                "LABEL": "Grade",
            },
        ],
    )
    store.insert(
        "deal",
        [
            deal_row(1, CUSTOM={"UF_CRM_PRODUCT": "44", "UF_CRM_GRADE": "44"}),
            deal_row(2, CUSTOM={"UF_CRM_PRODUCT": ["44", "46"]}, ASSIGNED_BY_ID=6),
            deal_row(3, CUSTOM={"UF_CRM_PRODUCT": 46}),
            deal_row(4, CUSTOM={"UF_CRM_PRODUCT": "99"}),
        ],
    )
    store.insert(
        "stage_history", [history_row(number, number, 0, "NEW") for number in (1, 2, 3, 4)]
    )
    store.insert(
        "activity",
        [
            {"ID": 11, "TYPE_ID": 2, "OWNER_TYPE_ID": 1, "OWNER_ID": 1},
            {"ID": 12, "TYPE_ID": 2, "OWNER_TYPE_ID": 2, "OWNER_ID": 3},
            {"ID": 13, "TYPE_ID": 6, "OWNER_TYPE_ID": 2, "OWNER_ID": 2},
        ],
    )
    # Activity 11, a lead's, is bound to deals 1, 2 and (until it was read again) 3.
    store.insert(
        "binding",
        [
            {"ID": number, "ACTIVITY_ID": 11, "ENTITY_TYPE_ID": kind, "ENTITY_ID": entity}
            for number, (kind, entity) in enumerate([(2, 1), (2, 2), (2, 3), (3, 4)], start=1)
        ],
    )
    store.insert(
        "call",
        [
            call_row(21, 30, CRM_ACTIVITY_ID=11, PORTAL_USER_ID=6),
            call_row(22, 40, CRM_ACTIVITY_ID=12),
            call_row(23, 50, CRM_ACTIVITY_ID=13),
        ],
    )
    store.insert(
        "product_row",
        [{"ID": n, "OWNER_TYPE": "D", "OWNER_ID": 1, "PRODUCT_NAME": f"P{n}"} for n in (1, 2)],
    )
    store.insert(
        "timeline_comment",
        [
            {"ID": n, "ENTITY_TYPE": "deal", "ENTITY_ID": 2, "COMMENT": f"C{n}", "CREATED": at(0)}
            for n in (1, 2)
        ],
    )
    return store


def write_past(connection: duckdb.DuckDBPyConnection, store: PortalStore) -> None:
    """What earlier loads have left behind."""
    books = Books(connection, "raw_bitrix24", MAIN)
    for day in range(LAST_DAY):
        books.write_log(on_day(day), [EntityLoad("users", "users")])
    versions = {
        # Noticed on the 6th at 22:30 UTC, which is the 7th in Moscow.
        2: [(True, on_day(0), on_day(3)), (False, NOON + dt.timedelta(days=4, hours=10.5), CUT)],
        3: [(True, on_day(0), on_day(5))],
        4: [(True, on_day(0), on_day(2))],
        5: [(False, on_day(0), CUT)],
        6: [(True, on_day(0), on_day(1)), (False, on_day(2), on_day(5)), (True, on_day(6), CUT)],
        7: [(False, on_day(0), CUT)],
    }
    connection.execute("delete from raw_bitrix24.user_versions where id <> 1")
    # The load of the 6th died before its log: only the version tells of it.
    connection.execute(
        "delete from raw_bitrix24.load_log where cut_at in (?, ?)", [on_day(4), on_day(5)]
    )
    for user, found in versions.items():
        for is_active, first, last in found:
            connection.execute(
                "insert into raw_bitrix24.user_versions "
                "(source_key, id, active, name, last_name, first_seen_at, last_seen_at) "
                "values (?, ?, ?, ?, 'Known', ?, ?)",
                [MAIN, user, is_active, f"User{user}", first, last],
            )
    connection.execute("update raw_bitrix24.users set received_at = ? where id = 3", [on_day(5)])
    earlier = CUT - dt.timedelta(days=1)
    connection.execute(
        "update raw_bitrix24.activity_bindings set received_at = ? "
        "where entity_type_id = 2 and entity_id = 3 and activity_id = 11",
        [earlier],
    )
    connection.execute(
        "update raw_bitrix24.product_rows set received_at = ? where id = 1", [earlier]
    )
    connection.execute(
        "update raw_bitrix24.timeline_comments set received_at = ? where id = 1", [earlier]
    )
    # Of a pipeline and of a stage that were deleted before a restore only versions tell.
    for category, kind, name, day in (
        (9, 2, "Old name", 0),
        (9, 2, "Repairs", 1),
        (10, 31, "Other bills", 0),
    ):
        connection.execute(
            "insert into raw_bitrix24.category_versions "
            "(source_key, entity_type_id, id, name, first_seen_at, last_seen_at) "
            "values (?, ?, ?, ?, ?, ?)",
            [MAIN, kind, category, name, on_day(day), on_day(day)],
        )
    for dictionary, name, day in (
        ("DEAL_STAGE_9", "Old name", 0),
        ("DEAL_STAGE_9", "Repaired", 1),
        ("SMART_INVOICE_STAGE_9", "Billed", 0),
    ):
        connection.execute(
            "insert into raw_bitrix24.status_versions "
            "(source_key, entity_id, status_id, name, semantics, first_seen_at, last_seen_at) "
            "values (?, ?, 'C9:DONE', ?, 'S', ?, ?)",
            [MAIN, dictionary, name, on_day(day), on_day(day)],
        )
    # The owners of what was inserted last were read now.
    connection.execute("delete from raw_bitrix24.detail_reads")
    for detail, owner in (
        (ACTIVITY_BINDINGS, Owner("activity", 11, None)),
        (PRODUCT_ROWS, Owner("deal", 1, None)),
        (TIMELINE_COMMENTS, Owner("deal", 2, None)),
    ):
        mark_read(connection, MAIN, detail, [owner], clock_of(store))
    connection.execute(
        "update raw_bitrix24.load_log set rows_reported = null, rows_raw = 0, "
        "problem = 'insufficient_scope: tick tasks' where entity = 'tasks' and cut_at = ?",
        [CUT],
    )
    connection.execute(
        # Refused in the middle: the count is there, the rows are not.
        "update raw_bitrix24.load_log set rows_reported = 500, problem = 'ACCESS_DENIED' "
        "where entity = 'leads' and cut_at = ?",
        [CUT],
    )
    connection.execute(
        "update raw_bitrix24.load_log set rows_raw = rows_raw + 2, rows_deleted = 2 "
        "where entity = 'statuses' and cut_at = ?",
        [CUT],
    )
    connection.execute(
        "update raw_bitrix24.load_log set owners_pending = 7, complete_up_to = ? "
        "where entity = 'task_history' and cut_at = ?",
        [earlier, CUT],
    )
    connection.executemany(
        "insert into raw_bitrix24.quarantine values (?, ?, ?, ?, 'TITLE: broken', '{}', ?)",
        [
            [MAIN, "deals", "readable later", 1, earlier],
            [MAIN, "deals", "still waiting", 1_000, earlier],
            [MAIN, "statuses", "gone from the list", None, earlier],
            [MAIN, "statuses", "met again", None, CUT],
            [MAIN, "timeline_comments", "comment readable later", 2, earlier],
            [MAIN, "smart_items_177", "item waiting", 5, earlier],
        ],
    )


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("kept")
    settings = make_company(root)
    settings.make_folders()
    with (
        portal(root / "portal.sqlite") as store,
        duckdb.connect(str(settings.warehouse)) as connection,
    ):
        write_raw(connection, {MAIN: store})
        write_past(connection, store)
    load_company_rules(settings)
    dbt_build(settings, *WITHOUT_TESTS)
    return settings


def rows(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    with warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("employee", "expected"),
    [
        (1, ("Anna Test", True, None, None)),
        (2, ("Boris Left", False, dt.date(2026, 3, 7), "snapshot")),
        (3, ("Clara Missing", False, dt.date(2026, 3, 8), "snapshot")),
        (4, ("User4 Known", False, dt.date(2026, 3, 5), "snapshot")),
        (5, ("Egor Never", False, dt.date(2026, 3, 3), "last_own_action")),
        (6, ("Fedor Back", True, None, None)),
        (7, ("Galina Undated", False, None, "unknown")),
    ],
    ids=[
        "employed",
        "dismissed on the local day of the first inactive version",
        "missing from the list since the load of the 8th",
        "known from versions alone",
        "inactive at first sight",
        "hired again",
        "inactive without any date",
    ],
)
def test_dismissals_follow_the_versions(
    company: Settings, employee: int, expected: tuple[object, ...]
) -> None:
    found = rows(
        company,
        "select employee_name, is_active, dismissed_on, dismissed_on_basis "
        f"from marts.dim_employees where employee_id = {employee}",
    )
    assert found == [expected]


def test_options_of_list_fields_show_their_labels(company: Settings) -> None:
    found = rows(company, "select deal_id, product_name, client_grade from marts.fct_deals")
    assert sorted(found) == [
        (1, "North", "44"),
        (2, '["44","46"]', "(not set)"),
        (3, "South", "(not set)"),
        (4, "99", "(not set)"),
    ]


def test_calls_follow_the_bindings_that_were_read(company: Settings) -> None:
    """Deal 2 is the talker's own; deal 3 has been unbound from activity 11; 13 is no call."""
    found = rows(
        company,
        "select calls.call_id, deals.deal_id, calls.match_method, calls.is_ambiguous "
        "from marts.fct_calls as calls left join marts.fct_deals as deals using (deal_key)",
    )
    assert sorted(found) == [
        (21, 2, "bound_deal", True),
        (22, 3, "bound_deal", False),
        (23, None, "unknown_number", False),
    ]
    bound = rows(
        company,
        "select entity_type_id, entity_id from intermediate.int_bitrix24__activity_bindings",
    )
    assert sorted(bound) == [(1, 1), (2, 1), (2, 2), (3, 4)]


def test_details_that_have_left_their_owner_are_left_out(company: Settings) -> None:
    assert rows(company, "select product_name from intermediate.int_bitrix24__product_rows") == [
        ("P2",)
    ]
    assert rows(
        company, "select comment_text from intermediate.int_bitrix24__timeline_comments"
    ) == [("C2",)]
    kept = rows(company, "select count(*) from staging.stg_bitrix24__timeline_comments")
    assert kept == [(2,)]


def test_only_pipelines_and_stages_of_deals_are_those_of_deals(company: Settings) -> None:
    listed = "select pipeline_id, pipeline_name from marts.dim_pipelines where is_listed"
    assert rows(company, listed) == [(0, "Sales")]
    stages = rows(company, "select stage_id from marts.dim_stages where is_listed")
    assert sorted(stages) == [("LOST",), ("NEW",), ("WON",), ("WORK",)]


def test_deleted_pipelines_and_stages_keep_name_and_meaning_after_a_restore(
    company: Settings,
) -> None:
    found = rows(
        company,
        "select pipeline_name, stage_name, stage_semantics from marts.dim_stages inner join "
        "marts.dim_pipelines as pipelines using (pipeline_key) where not pipelines.is_listed",
    )
    assert found == [("Repairs", "Repaired", "won")]


def test_what_cannot_be_compared_has_not_passed_and_offends_nobody(company: Settings) -> None:
    found = rows(
        company,
        "select entity, source_check_state from intermediate.int_reconciliation_by_entity",
    )
    states = {str(entity): state for entity, state in found}
    assert states["deals"] == "passed"
    assert states["statuses"] == "passed"
    assert states["tasks"] == states["leads"] == "cannot_be_checked"
    assert states["task_history"] == "cannot_be_checked"
    assert rows(company, "select * from marts.fct_data_quality_issues where rule_id = 'Q5'") == []
    named = rows(
        company,
        "select entity, sentence from marts.fct_data_quality_issues where rule_id = 'UNREAD'",
    )
    assert sorted(named) == [
        ("leads", "leads of bitrix24:main cannot be checked: ACCESS_DENIED"),
        (
            "task_history",
            "task_history of bitrix24:main: 7 cards, tasks or calls wait to be asked for them at "
            "the next loads.",
        ),
        ("tasks", "tasks of bitrix24:main cannot be checked: insufficient_scope: tick tasks"),
    ]


def test_only_rows_that_still_wait_are_named_as_quarantined(company: Settings) -> None:
    found = rows(
        company,
        "select record_id from marts.fct_data_quality_issues where rule_id = 'QUARANTINE'",
    )
    assert sorted(found) == [("item waiting",), ("met again",), ("still waiting",)]
