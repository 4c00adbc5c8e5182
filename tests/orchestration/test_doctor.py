"""The doctor names what stands in the way of a run, and what to do; never a secret."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.doctor import Finding, examine, machine
from orchestration.doctor.connections import SKEW_SECONDS
from orchestration.settings import Settings
from sources.demo.access import Webhook
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.amo_accounts import make_account
from tests.support.companies import make_company, write_version
from tests.support.portals import make_portal

pytestmark = pytest.mark.scattered

SECRET = "s3cr3tc0de"
URL = "SOURCES__BITRIX24__ACME__MAIN__WEBHOOK_URL"
FULL = Webhook(1, SECRET)
LIMITED = Webhook(2, f"{SECRET}2", categories=[0], calls="own")
NARROW = Webhook(3, f"{SECRET}3", scopes=("crm", "user", "task"))


def minutes_until_now() -> float:
    """The clock of a stand-in, set to this machine's."""
    noon = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    return (dt.datetime.now(dt.UTC) - noon).total_seconds() / 60


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[Portal, str]]:
    path = tmp_path / "portal.sqlite"
    with make_portal(path, clock_minutes=minutes_until_now()) as store:
        store.insert(
            "custom_field",
            [
                {"ID": number, "ENTITY_TYPE": "deal", "FIELD_NAME": name, "USER_TYPE": "string"}
                for number, name in enumerate(("UF_CRM_PRODUCT", "UF_CRM_GRADE"), start=1)
            ],
        )
        portal = Portal(store, webhooks=[FULL, LIMITED, NARROW])
        with serve_in_thread(portal) as address:
            yield portal, address.partition("/rest/")[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = make_company(tmp_path, "acme")
    made.make_folders()
    return made.model_copy(update={"alert_urls": SecretStr(f"json://127.0.0.1/{SECRET}")})


def found(settings: Settings, item: str) -> list[Finding]:
    return [finding for finding in examine(settings) if finding.item == item]


def wrong(settings: Settings, item: str) -> list[tuple[str, str]]:
    return [(one.status, one.says) for one in found(settings, item) if one.status != "ok"]


def test_a_healthy_company_has_nothing_to_mend(
    settings: Settings, portal: tuple[Portal, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, portal[1] + FULL.path)
    monkeypatch.setattr(machine, "_SECRETS", settings.data_dir / "none")
    findings = list(examine(settings))
    assert [finding for finding in findings if finding.status != "ok"] == []
    assert [one.says for one in findings if one.item == "bitrix24:main"] == [
        "127.0.0.1 answers and accepts the credential, clocks agree",
        "scopes: crm, user, department, telephony, task",
        "an administrator's: it may see all pipelines, users and calls (by its role: nothing was "
        "counted)",
        "has the mapped fields UF_CRM_PRODUCT, UF_CRM_GRADE",
    ]
    assert SECRET not in str(findings)
    # It only reads: no lock is taken, no warehouse made.
    assert not settings.lock_file.exists()
    assert not settings.warehouse.exists()


@pytest.mark.parametrize(
    ("webhook", "says"),
    [
        (Webhook(1, f"{SECRET}9"), [("problem", "unknown, revoked or expired; make a new one")]),
        (
            LIMITED,
            [("warning", "not an administrator's: pipelines, users or calls may be missing")],
        ),
        (NARROW, [("problem", "lacks department (departments), telephony (calls): give it these")]),
    ],
    ids=["revoked", "limited", "narrow"],
)
def test_what_an_access_lacks_is_told(
    settings: Settings,
    portal: tuple[Portal, str],
    monkeypatch: pytest.MonkeyPatch,
    webhook: Webhook,
    says: list[tuple[str, str]],
) -> None:
    monkeypatch.setenv(URL, portal[1] + webhook.path)
    told = wrong(settings, "bitrix24:main")
    assert [status for status, _ in told] == [status for status, _ in says]
    for (_, sentence), (_, part) in zip(told, says, strict=True):
        assert part in sentence
    assert SECRET not in str(told)


def test_fields_and_processes_that_the_portal_lacks_are_told(
    settings: Settings, portal: tuple[Portal, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, portal[1] + FULL.path)
    rules = settings.company_dir / "company.toml"
    text = rules.read_text().replace('bitrix24 = "UF_CRM_GRADE"', 'bitrix24 = "UF_CRM_GRAED"')
    head = "[connections.bitrix24.main]"
    rules.write_text(text.replace(head, f"{head}\nsmart_processes = [177]"))
    told = wrong(settings, "bitrix24:main")
    assert [status for status, _ in told] == ["problem", "problem"]
    assert told[0][1].startswith("smart process 177: ")
    assert told[1][1] == (
        "there is no field UF_CRM_GRAED: what hangs on it stays empty. Correct segments.grade in "
        "company.toml."
    )


@pytest.mark.parametrize(("seconds", "direction"), [(1000, "ahead of"), (-1000, "behind")])
def test_clocks_that_differ_are_told(
    settings: Settings,
    portal: tuple[Portal, str],
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    direction: str,
) -> None:
    store = portal[0].store
    store.set_meta("clock", int(store.meta("clock")) + seconds * 1_000_000)
    monkeypatch.setenv(URL, portal[1] + FULL.path)
    ((status, says),) = wrong(settings, "bitrix24:main")
    assert (status, f"s {direction} this machine's" in says) == ("warning", True)
    assert abs(seconds) > SKEW_SECONDS


def test_a_portal_that_is_not_there_and_missing_secrets_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((status, says),) = wrong(settings, "bitrix24:main")
    assert (status, "has no secrets" in says) == ("problem", True)
    monkeypatch.setenv(URL, f"http://127.0.0.1:9/rest/1/{SECRET}/")
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
    ((status, says),) = wrong(settings, "bitrix24:main")
    assert (status, "127.0.0.1 can't be reached" in says) == ("problem", True)
    assert SECRET not in says


def test_an_account_is_looked_at_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_company(
        tmp_path, "acme", ["amocrm:main"], options={"amocrm:main": {"source_field": "41"}}
    )
    with make_account(tmp_path / "account.sqlite") as store:
        store.set_meta("clock", int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000))
        field = {"entity_type": "leads", "name": "A field", "type": "text"}
        store.insert("custom_field", [{**field, "id": 41}, {**field, "id": 42, "code": "PRODUCT"}])
        served = AmoPortal(store, token=SECRET)
        with serve_in_thread(served) as address:
            section = "SOURCES__AMOCRM__ACME__MAIN__"
            monkeypatch.setenv(f"{section}ACCOUNT_URL", address)
            monkeypatch.setenv(f"{section}ACCESS_TOKEN", SECRET)
            assert wrong(settings, "amocrm:main") == [
                (
                    "problem",
                    "there is no field GRADE: what hangs on it stays empty. Correct segments.grade "
                    "in company.toml.",
                )
            ]
            served.is_admin = False
            told = wrong(settings, "amocrm:main")
            assert [status for status, _ in told] == ["warning", "problem"]
            assert told[0][1].startswith("not an administrator's")
            monkeypatch.setenv(f"{section}ACCESS_TOKEN", f"{SECRET}9")
            ((status, says),) = wrong(settings, "amocrm:main")
    assert (status, "unknown, expired or revoked" in says) == ("problem", True)
    assert SECRET not in says


def test_a_file_of_calls_must_be_there(tmp_path: Path) -> None:
    settings = make_company(
        tmp_path, "acme", ["asterisk:office"], options={"asterisk:office": {"file": "Master.csv"}}
    )
    settings.make_folders()
    ((status, says),) = wrong(settings, "asterisk:office")
    assert (status, "Master.csv" in says) == ("problem", True)
    (settings.data_dir / "Master.csv").write_text("")
    assert wrong(settings, "asterisk:office") == []


def test_a_wrong_line_of_the_rules_is_named_and_ends_the_look(settings: Settings) -> None:
    (settings.company_dir / "stages.csv").write_text("connection,pipeline_id,stage_id,role\nx\n")
    *_, last = examine(settings)
    assert (last.item, last.status) == ("company rules", "problem")
    assert "companies/acme/stages.csv, line 2" in last.says


def test_no_room_on_the_disk_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.warehouse.write_bytes(b"x" * 1000)
    told = []
    for free in (10**12, 2 * 10**9 + 1999, 999):
        usage = dataclasses.make_dataclass("usage", ["free"])(free)
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _, usage=usage: usage)
        told.append(machine._disk(settings).status)
    assert told == ["ok", "warning", "problem"]


def test_a_package_that_is_not_the_locked_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.status for finding in machine.look_at_versions()] == ["ok", "ok"]
    monkeypatch.setattr(machine, "version", lambda package: "0.0.1")
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 1))
    python, packages = machine.look_at_versions()
    assert (python.status, packages.status) == ("problem", "problem")
    assert "duckdb is 0.0.1, locked is 1." in packages.says
    assert packages.says.endswith("Run make setup.")


def test_who_holds_the_lock_and_who_was_killed_is_told(settings: Settings) -> None:
    note = settings.lock_file.with_name("warehouse.lock.holder")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    told: list[tuple[str, str]] = []
    for pid in (os.getpid(), ended.pid):
        note.write_text(json.dumps({"holder": "make dbt", "pid": pid, "since": "05:30:02"}))
        told += [(one.status, one.says) for one in found(settings, "lock")]
    assert [status for status, _ in told] == ["ok", "warning"]
    assert f"make dbt (process {os.getpid()}, since 05:30:02) writes" in told[0][1]
    assert f"make dbt (process {ended.pid}, since 05:30:02) was killed" in told[1][1]


def test_a_warehouse_that_is_written_or_newer_or_broken_is_told(settings: Settings) -> None:
    def look() -> tuple[str, str]:
        (finding,) = found(settings, "warehouse")
        return finding.status, finding.says

    write_version(settings.warehouse, 99)
    status, says = look()
    assert (status, "newer callfunnel (version 99" in says) == ("problem", True)
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, time; c = duckdb.connect({str(settings.warehouse)!r}); "
            "print('open', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    status, says = look()
    writer.kill()
    writer.wait()
    assert (status, "is being written just now" in says) == ("ok", True)
    settings.warehouse.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
    settings.warehouse.write_text("no database" * 1000)
    assert look()[0] == "problem"


def test_open_modes_are_told_with_the_command_that_closes_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SECRETS", settings.data_dir / "secrets.toml")
    machine._SECRETS.write_text("")
    machine._SECRETS.chmod(0o644)
    settings.data_dir.chmod(0o755)
    told = [says for _, says in wrong(settings, "file modes")]
    assert told == [
        f"{settings.data_dir} is open to others (mode 755): chmod 770 {settings.data_dir}",
        f"{machine._SECRETS} is open to others (mode 644): chmod 600 {machine._SECRETS}",
    ]


def test_missing_and_unusable_addresses_of_alerts_are_told(settings: Settings) -> None:
    def look(urls: str) -> list[tuple[str, str]]:
        return wrong(settings.model_copy(update={"alert_urls": SecretStr(urls)}), "alerts")

    ((status, says),) = look("")
    assert (status, "CALLFUNNEL_ALERT_URLS" in says) == ("warning", True)
    ((status, says),) = look(f"nosuch://{SECRET}")
    assert status == "problem"
    assert SECRET not in says


def test_the_command_exits_with_one_where_there_is_a_problem(
    settings: Settings, portal: tuple[Portal, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(settings.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(settings.data_root))
    monkeypatch.setattr(machine, "_SECRETS", settings.data_dir / "none")

    def run(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["doctor", "--company=acme", *options])
        return result.exit_code, result.output

    monkeypatch.setenv(URL, portal[1] + LIMITED.path)
    code, said = run()
    # Warnings alone are no reason to fail.
    assert code == 0, said
    assert "warning  alerts: no address" in said
    monkeypatch.setenv(URL, portal[1] + NARROW.path)
    code, said = run("--json")
    lines: list[dict[str, Any]] = json.loads(said)
    assert code == 1
    assert {"item", "status", "says"} == set(lines[0])
    assert [line["status"] for line in lines if "lacks" in line["says"]] == ["problem"]
    assert SECRET not in said


def test_lines_are_printed_as_they_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Finding("asterisk:office", "ok", "[calls] answers")
    monkeypatch.setattr("orchestration.doctor.examine", lambda _: iter([line]))
    result = CliRunner().invoke(app, ["doctor", "--company=acme"])
    assert result.output == "ok       asterisk:office: [calls] answers\n"


def test_the_demo_has_a_clock_of_its_own(tmp_path: Path) -> None:
    # Nothing is served: only what would be said of its clock is looked at.
    from orchestration.connections import find_connection
    from orchestration.doctor.connections import _reached

    settings = Settings(company="demo", data_root=tmp_path)
    main = find_connection(settings, "main")
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert _reached(settings, main, "bitrix24:main", "127.0.0.1", long_ago).status == "ok"
