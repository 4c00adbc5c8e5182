"""What nobody who reads BI, Dagster or files beside them may meet, of the demo company."""

from __future__ import annotations

import contextlib
import sqlite3

import duckdb
import pytest

from sources.demo.store import PortalStore
from tests.conftest import CANARY, DemoRun
from tests.support.leaks import Contacts, last_digits


@pytest.fixture(scope="session")
def contacts(demo_run: DemoRun) -> Contacts:
    """Every number and e-mail that the portal and the exchange know, but for the company's own."""
    with PortalStore(demo_run.store, read_only=True) as store:
        numbers = {
            row[0] for row in store.query("select PHONE_NUMBER from call where PHONE_NUMBER <> ''")
        }
    with contextlib.closing(sqlite3.connect(demo_run.exchange)) as records:
        numbers |= {
            row[0]
            for row in records.execute(
                "select src from cdr where did <> '' union select dst from cdr where did = ''"
            )
        }
    e_mails: set[str] = set()
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        for table in ("contacts", "companies", "leads"):
            for column, pattern, into in (
                ("phone", r"\+?[\d ()-]{10,}", numbers),
                ("email", r"[\w.+-]+@[\w.-]+", e_mails),
            ):
                into |= {
                    row[0]
                    for row in connection.execute(
                        f"select unnest(regexp_extract_all({column}::varchar, ?)) "
                        f"from raw_bitrix24.{table}",
                        [pattern],
                    ).fetchall()
                }
        own = connection.execute("select distinct line from marts.fct_calls").fetchall()
    assert len(e_mails) > 1000
    found = last_digits(numbers) - last_digits(line for (line,) in own)
    assert len(found) > 2000
    return Contacts(found, frozenset(one.lower().encode() for one in e_mails), (CANARY.encode(),))


@pytest.fixture(scope="session")
def names(demo_run: DemoRun) -> frozenset[tuple[str, str]]:
    """First and last names of clients, in lower case, but for those that employees have too."""
    with duckdb.connect(str(demo_run.settings.warehouse), read_only=True) as connection:
        told = connection.execute(
            "select distinct lower(name), lower(last_name) from raw_bitrix24.contacts "
            "where length(name) > 1 and length(last_name) > 1"
        ).fetchall()
        employees = connection.execute(
            "select lower(employee_name) from marts.dim_employees"
        ).fetchall()
    own = {frozenset(name.split()) for (name,) in employees}
    found = frozenset((one, other) for one, other in told if {one, other} not in own)
    assert len(found) > 500
    return found
