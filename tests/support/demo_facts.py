"""Facts and dimensions of a finished demo run, for references in plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from orchestration.settings import Settings
from tests.reference.reports import Facts
from tests.support.companies import warehouse

MAIN = "bitrix24:main"
TABLES = (
    "dim_cards", "dim_dates", "dim_employees", "dim_pipelines", "dim_sellers", "dim_stages",
    "fct_calls", "fct_crm_actions", "fct_deadline_moves", "fct_deal_closes", "fct_deals",
    "fct_leads", "fct_messages", "fct_open_pipeline", "fct_payments", "fct_requests",
    "fct_stage_visits", "fct_tasks", "fct_touches",
)  # fmt: skip

Ask = Callable[[str], list[dict[str, Any]]]


def asking(settings: Settings) -> Ask:
    """A function that gives the rows of a query as dictionaries."""

    def rows(sql: str) -> list[dict[str, Any]]:
        with warehouse(settings) as connection:
            found = connection.execute(sql)
            names = [column[0] for column in found.description or []]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return rows


def facts_of(ask: Ask) -> Facts:
    """All that references read."""
    (now,) = ask(f"select max(cut_at) as at from raw_bitrix24.load_log where source_key = '{MAIN}'")
    as_of = now["at"].astimezone(dt.UTC).replace(tzinfo=None)
    (today,) = ask("select date_day from marts.dim_dates where is_as_of_day")
    tables = {table: ask(f"select * from marts.{table}") for table in TABLES}
    return Facts(tables, as_of, today["date_day"])
