"""Companies in temporary folders, loaded and built by the product's own code."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import dlt
import duckdb

from orchestration.connections import (
    connections_of,
    connector_of,
    find_connection,
    make_absent_tables,
)
from orchestration.manifest import dbt_executable
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.systems import SYSTEMS
from sources.amocrm import AmoClient, AmoConnector, LongLivedToken
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.company import read_company
from sources.connection import PBX_SYSTEMS
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from sources.derived.phone_numbers import add_phone_numbers
from sources.loading import ConnectionLoad, load_connection, load_rules
from sources.pipelines import make_pipeline
from tests.support.raw_telephony import write_raw_telephony

RULES = """
[company]
name = "Test company"
time_zone = "{zone}"

{connections}
[segments]
product = {{bitrix24 = "UF_CRM_PRODUCT", amocrm = "PRODUCT"}}
grade = {{bitrix24 = "UF_CRM_GRADE", amocrm = "GRADE"}}
"""


def make_company(
    root: Path,
    name: str = "testco",
    connections: Sequence[str] = ("main",),
    zone: str = "Europe/Moscow",
    files: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    reports: Mapping[str, float] | None = None,
    quality: Mapping[str, Any] | None = None,
) -> Settings:
    """A company's folder with rules, and settings that point at it.

    Args:
        root: where the folders of companies and of their data are made.
        name: of the company.
        connections: of Bitrix24 unless they say `amocrm:<name>`.
        zone: the company's.
        files: further files of the company's folder.
        options: rules of single connections, beside or in place of the usual ones.
        reports: thresholds of reports.
        quality: thresholds of quality rules.
    """
    folder = root / "companies" / name
    folder.mkdir(parents=True)
    given = options or {}
    sections = "\n".join(_section(one, given.get(one, {})) for one in connections)
    sections = sections or "[connections]"
    rules = RULES.format(zone=zone, connections=sections)
    for section, thresholds in (("reports", reports), ("quality", quality)):
        if thresholds:
            lines = (f"{key} = {_toml(value)}\n" for key, value in thresholds.items())
            rules += f"\n[{section}]\n{''.join(lines)}"
    (folder / "company.toml").write_text(rules, encoding="utf-8")
    for file, text in (files or {}).items():
        (folder / file).write_text(text, encoding="utf-8")
    return Settings(
        company=name,
        companies_dir=root / "companies",
        data_root=root / "data",
        memory_limit="1GB",
    )


def _section(connection: str, given: Mapping[str, Any]) -> str:
    system, _, name = connection.rpartition(":")
    system = system or "bitrix24"
    options: dict[str, Any] = {}
    if system not in PBX_SYSTEMS:
        options = {
            "talk_basis": "talk",
            "portal_url": f"https://test.{system}.example",
            "requests_per_second": 0,
        }
    if system == "amocrm":
        options["source_field"] = "SOURCE"
    options |= given
    lines = [f"{option} = {_toml(value)}" for option, value in options.items()]
    return "\n".join([f"[connections.{system}.{name}]", *lines]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_toml(text)}' for key, text in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def pipeline_of(
    settings: Settings, connection: str = "main", system: str = "bitrix24"
) -> dlt.Pipeline:
    """The dlt pipeline of one connection."""
    settings.make_folders()
    return make_pipeline(
        system,
        connection,
        warehouse=settings.warehouse,
        pipelines_dir=settings.pipelines_dir,
    )


def load_portal(
    settings: Settings, store: PortalStore, connection: str = "main", **portal: Any
) -> ConnectionLoad:
    """Load a store through the portal, over HTTP on loopback."""
    with serve_in_thread(Portal(store, **portal)) as address:
        client = Bitrix24Client(address, connection, requests_per_second=0)
        connector = Bitrix24Connector(client, connection)
        return load_connection(pipeline_of(settings, connection), connector)


def load_account(
    settings: Settings, store: AmoStore, connection: str = "main", **account: Any
) -> ConnectionLoad:
    """Load an amoCRM account's store over HTTP on loopback."""
    served = AmoPortal(store, **account)
    with serve_in_thread(served) as address:
        access = LongLivedToken(address, served.token)
        client = AmoClient(access, connection, requests_per_second=0)
        connector = AmoConnector(client, connection)
        return load_connection(pipeline_of(settings, connection, "amocrm"), connector)


def load_exchange(settings: Settings, url: str, connection: str = "asterisk:office") -> None:
    """Load a telephony out of a database, and make the empty tables of the other providers."""
    found = find_connection(settings, connection)
    variable = f"SOURCES__{found.system}__{settings.company}__{found.name}__DATABASE_URL".upper()
    make_absent_tables(settings, "raw_telephony")
    with mock.patch.dict(os.environ, {variable: url}):
        load_connection(
            pipeline_of(settings, found.name, found.system), connector_of(settings, found)
        )


def load_company_rules(settings: Settings) -> None:
    """Load the company's rules and derive phone numbers: all that dbt needs beside the portals.

    Systems that the company lacks get their empty tables; telephony's without dlt, which spares
    every company 3 s.
    """
    settings.make_folders()
    for schema in SYSTEMS:
        if not connections_of(settings, f"raw_{schema}"):
            make_absent_tables(settings, f"raw_{schema}")
    with duckdb.connect(str(settings.warehouse)) as connection:
        if not connection.execute(
            "select 1 from duckdb_tables() where schema_name = 'raw_telephony'"
        ).fetchone():
            write_raw_telephony(connection)
    pipeline = make_pipeline(
        "company", "rules", warehouse=settings.warehouse, pipelines_dir=settings.pipelines_dir
    )
    load_rules(pipeline, read_company(settings.company_dir), {})
    with duckdb.connect(str(settings.warehouse)) as connection:
        add_phone_numbers(connection, "RU")


WITHOUT_TESTS = ("--exclude-resource-type", "test", "unit_test")
"""Half of a small company's build are data tests, which others run on more data."""


def dbt_build(
    settings: Settings, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run dbt build on the company's warehouse; gives its output, also as a failure's message.

    dbt parses the project anew (10 s) wherever the warehouse lies elsewhere. So the companies of a
    process are built under one path, a link, and share what dbt has parsed.
    """
    desk = _desk()
    link = desk / settings.warehouse.name
    for left in (link, link.with_name(f"{link.name}.wal")):
        left.unlink(missing_ok=True)
    link.symlink_to(settings.warehouse)
    parsed = desk / "partial_parse.msgpack"
    finished = subprocess.run(
        [str(dbt_executable()), "build", *arguments],
        cwd=PROJECT_DIR,
        env={
            **os.environ,
            **settings.dbt_environment(),
            "CALLFUNNEL_WAREHOUSE": str(link),
            "CALLFUNNEL_TEMP_DIR": str(desk / "tmp"),
            # A second log of what is captured here: 0.8 CPU seconds a build.
            "DBT_LOG_LEVEL_FILE": "none",
            # Suites are made from the manifest; builds without tests are not judged: 3 CPU seconds.
            **({"DBT_WRITE_JSON": "false"} if {*WITHOUT_TESTS} <= {*arguments} else {}),
            **({"DBT_PARTIAL_PARSE_FILE_PATH": str(parsed)} if parsed.exists() else {}),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:]
    if not parsed.exists():
        shutil.copy(settings.dbt_target_dir / parsed.name, parsed)
    return finished.stdout


@functools.cache
def _desk() -> Path:
    """A folder of this process."""
    desk = Path(tempfile.mkdtemp(prefix="callfunnel-"))
    atexit.register(shutil.rmtree, desk, ignore_errors=True)
    return desk


@contextlib.contextmanager
def warehouse(settings: Settings, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the company's warehouse, in UTC."""
    with duckdb.connect(str(settings.warehouse), read_only=read_only) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def asked(settings: Settings, sql: str, *bound: Any) -> list[tuple[Any, ...]]:
    """The rows that a query of the company's warehouse gives."""
    with warehouse(settings) as connection:
        return connection.execute(sql, list(bound)).fetchall()


def write_version(warehouse: Path, version: int) -> None:
    """A warehouse that code of that version has written."""
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema raw_derived")
        connection.execute("create table raw_derived.warehouse_version (version bigint)")
        connection.execute("insert into raw_derived.warehouse_version values (?)", [version])


def raw_count(settings: Settings, table: str, source_key: str = "bitrix24:main") -> int:
    """Rows of one connection in a raw table."""
    with warehouse(settings) as connection:
        row = connection.execute(
            f"select count(*) from raw_bitrix24.{table} where source_key = ?", [source_key]
        ).fetchone()
    assert row is not None
    return int(row[0])
