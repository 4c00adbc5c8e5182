"""The main job against a portal named in the secrets: what works, and what users read when not."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.settings import Settings
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.conftest import command_line
from tests.support.companies import make_company
from tests.support.portals import call_row, deal_row, history_row, make_portal

CANARY = "c4n4ry5ecret0fth3w3bh00k"


@dataclass
class Company:
    settings: Settings
    home: Path
    portal: Portal
    address: str

    def run(self, address: str | None = None) -> subprocess.CompletedProcess[str]:
        return command_line(
            "run",
            "--company",
            "testco",
            data_root=self.settings.data_root,
            dagster_home=self.home,
            CALLFUNNEL_COMPANIES_DIR=str(self.settings.companies_dir),
            SOURCES__BITRIX24__TESTCO__MAIN__WEBHOOK_URL=address or self.address,
        )

    def generations(self) -> list[str]:
        if not self.settings.published_dir.exists():
            return []
        return sorted(path.name for path in self.settings.published_dir.iterdir())


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    root = tmp_path_factory.mktemp("real")
    settings = make_company(root)
    store = make_portal(root / "portal.sqlite")
    store.insert("deal", [deal_row(1, STAGE_ID="WORK"), deal_row(2)])
    store.insert(
        "stage_history",
        [history_row(1, 1, 0, "NEW"), history_row(2, 1, 60, "WORK"), history_row(3, 2, 0, "NEW")],
    )
    store.insert("call", [call_row(1, 30, CRM_ENTITY_TYPE="DEAL", CRM_ENTITY_ID=1)])
    portal = Portal(store, code=CANARY)
    with serve_in_thread(portal) as address:
        yield Company(settings, root / "home", portal, address)


@pytest.fixture(scope="module")
def first_run(company: Company) -> subprocess.CompletedProcess[str]:
    finished = company.run()
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished


def test_the_job_runs_against_the_address_in_the_secrets(
    company: Company, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert company.generations() == ["current", "gen-1"]
    assert "1 of 1 received" in first_run.stderr


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("revoked", "is unknown, revoked or expired; make a new one in the portal"),
        ("network", "can't be reached (no connection): check the network"),
    ],
)
def test_a_portal_that_refuses_gives_one_sentence_and_publishes_nothing(
    company: Company, fault: str, sentence: str
) -> None:
    before = company.generations()
    address = company.address
    if fault == "revoked":
        address = address.replace(CANARY, CANARY + "-revoked")
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}/rest/1/{CANARY}/"
    finished = company.run(address)
    said = " ".join(finished.stderr.split())
    assert finished.returncode == 1
    assert said.count(sentence) == 1, said
    assert "Traceback" not in finished.stderr
    assert CANARY not in finished.stderr + finished.stdout
    assert company.generations() == before


@pytest.mark.long
@pytest.mark.usefixtures("first_run")
def test_what_the_webhook_may_not_read_is_told_and_the_rest_is_published(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = company.generations()
    monkeypatch.setattr(company.portal, "scopes", ("crm", "user", "department", "task"))
    finished = company.run(company.address)
    assert finished.returncode == 0, finished.stderr[-2000:]
    told = " ".join(finished.stderr.split())
    assert "calls: 127.0.0.1 refused voximplant.statistic.get" in told
    assert "lacks a scope; give it crm, user, department, telephony and task" in told
    assert "warn every_entity_was_read_whole: 1" in " ".join(finished.stdout.split())
    assert company.generations() != before


@pytest.mark.usefixtures("first_run")
def test_the_webhooks_secret_is_in_no_file(company: Company) -> None:
    """After runs that worked and runs that failed."""
    folders = (company.settings.data_dir, company.home, company.settings.companies_dir)
    searched, holding = files_holding(CANARY, *folders)
    assert holding == []
    assert searched > 20
    # Positive control: the same search finds it where it is.
    planted = company.home / "storage" / "control.txt"
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"https://portal/rest/1/{CANARY}/")
    assert files_holding(CANARY, *folders)[1] == [planted]


def files_holding(secret: str, *folders: Path) -> tuple[int, list[Path]]:
    """How many files were searched, and which of them hold the secret."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return len(files), [path for path in files if secret.encode() in path.read_bytes()]


def test_a_company_without_a_webhook_is_told_where_to_put_it(tmp_path: Path) -> None:
    settings = make_company(tmp_path)
    finished = command_line(
        "run",
        "--company",
        "testco",
        data_root=settings.data_root,
        dagster_home=tmp_path / "home",
        CALLFUNNEL_COMPANIES_DIR=str(settings.companies_dir),
    )
    said = " ".join(finished.stderr.split())
    assert finished.returncode == 1
    assert "[sources.bitrix24.testco.main] in .dlt/secrets.toml" in said
    assert "Traceback" not in finished.stderr


def test_an_unknown_company_is_told_which_there_are(tmp_path: Path) -> None:
    finished = command_line(
        "run", "--company", "nosuch", data_root=tmp_path / "data", dagster_home=tmp_path / "home"
    )
    assert finished.returncode == 1
    assert "known companies: demo, demo_amocrm, replay, replay_amocrm" in " ".join(
        finished.stderr.split()
    )
    assert not (tmp_path / "data" / "nosuch").exists()
