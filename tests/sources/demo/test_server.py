"""Serving: https with a throw-away authority, and the switches of the command line."""

from __future__ import annotations

import os
import re
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sources.demo import processes
from sources.demo.certificates import issue_certificate
from sources.demo.portal import Portal
from sources.demo.server import (
    ServedAccount,
    serve_account_in_process,
    serve_in_process,
    serve_in_thread,
)
from tests.support.amo_accounts import lead_row, make_account
from tests.support.portals import deal_row, make_portal


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", (deal_row(n) for n in range(1, 4)))
    return tmp_path / "portal.sqlite"


def test_https_is_trusted_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = issue_certificate(tmp_path / "tls", ["portal.example"])
    with (
        make_portal(tmp_path / "portal.sqlite") as store,
        serve_in_thread(Portal(store), tls=tls) as address,
    ):
        assert address.startswith("https://127.0.0.1:")
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(address + "server.time", timeout=10)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca_file))
        for host in ("127.0.0.1", "localhost"):
            at_host = address.replace("127.0.0.1", host)
            assert requests.post(at_host + "server.time", timeout=10).ok
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_file))
    assert ssl.create_default_context().cert_store_stats()["x509_ca"] == 1


def test_the_private_key_is_the_users_own(tmp_path: Path) -> None:
    for _ in range(2):
        tls = issue_certificate(tmp_path)
        assert stat.S_IMODE(tls.key_file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in tls.ca_file.read_bytes()


def test_a_process_serves_with_every_switch(store_path: Path, tmp_path: Path) -> None:
    with serve_in_process(
        store_path,
        limited=True,
        command_seconds=0.05,
        count_seconds=0.1,
        operating_limit_seconds=0.15,
        tls_folder=tmp_path / "tls",
        tls_hosts=["portal.example"],
        oauth=("local.1", "s3cr3t"),
    ) as address:
        session = requests.Session()
        session.trust_env = False  # an authority named by the environment would win
        session.verify = str(tmp_path / "tls" / "ca.pem")
        started = time.monotonic()
        body = session.post(address + "crm.deal.list", timeout=10).json()
        assert time.monotonic() - started >= 0.15
        assert body["time"]["operating"] == pytest.approx(0.15)
        assert session.post(address + "crm.deal.list", timeout=10).status_code == 429

        root = address.partition("/rest/")[0]
        sent = session.get(
            root + "/oauth/authorize/?client_id=local.1", allow_redirects=False, timeout=10
        )
        code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
        tokens = session.get(
            root + "/oauth/token/",
            params={
                "grant_type": "authorization_code",
                "client_id": "local.1",
                "client_secret": "s3cr3t",
                "code": code,
            },
            timeout=10,
        ).json()
        assert tokens["client_endpoint"] == root + "/rest/"
        answer = session.get(
            tokens["client_endpoint"] + "scope", params={"auth": tokens["access_token"]}, timeout=10
        )
        assert "crm" in answer.json()["result"]
        statuses = [
            session.get(root + f"/rest/scope?auth={tokens['access_token']}", timeout=10).status_code
            for _ in range(55)
        ]
        assert 503 in statuses


def run(command: str, *arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sources.demo", command, *map(str, arguments)],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


@pytest.mark.parametrize(
    ("command", "secret"), [("serve", "webhook's secret"), ("serve-account", "long-lived token")]
)
def test_missing_secrets_files_and_plans_are_said(
    store_path: Path, tmp_path: Path, command: str, secret: str
) -> None:
    writes = tmp_path / "writes.toml"
    writes.write_text(
        '[[rules]]\nmethod = "leads"\naction = "delete"\nid = 1\n'
        + ("entity = 'deal'" if command == "serve" else "entity = 'lead'")
    )
    missing = tmp_path / "no.sqlite"
    for store, arguments, typed, said in (
        (store_path, (), "\n", f"{secret} as the first line of standard input"),
        (store_path, ("--oauth",), "code\nlocal.1\n", "second and third"),
        (store_path, ("--faults", tmp_path / "no.toml"), "code\n", "does not exist"),
        (missing, (), "code\n", "no portal store"),
        (missing, ("--faults", writes), "code\n", "no portal store"),
    ):
        finished = run(command, store, *arguments, typed=typed)
        assert finished.returncode == 2
        assert said in finished.stderr
        assert "Traceback" not in finished.stderr
    assert not missing.exists()


# An amoCRM account


@pytest.fixture
def account_path(tmp_path: Path) -> Path:
    with make_account(tmp_path / "account.sqlite") as store:
        store.insert("lead", [lead_row(1)])
    return tmp_path / "account.sqlite"


def get(
    account: ServedAccount, path: str, session: requests.Session | None = None, token: str = ""
) -> requests.Response:
    return (session or requests.Session()).get(
        f"{account.address}/api/v4/{path}",
        headers={"Authorization": f"Bearer {token or account.token}"},
        timeout=10,
    )


def test_an_account_is_served_at_an_address_with_a_token(
    account_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_lines: list[str] = []

    def recorded(command: list[str], **options: Any) -> subprocess.Popen[str]:
        command_lines.append(" ".join(command))
        return subprocess.Popen(command, **options)

    monkeypatch.setattr(
        processes, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": recorded})
    )
    with serve_account_in_process(account_path, oauth=("8f2c", "s3cr3t")) as account:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", account.address)
        assert account.token not in repr(account)
        assert get(account, "leads").json()["_embedded"]["leads"][0]["id"] == 1
        assert get(account, "users").status_code == 200
        assert get(account, "leads", token="wrong").status_code == 401
        (command_line,) = command_lines
        assert str(account_path) in command_line
        assert account.token not in command_line
        assert "s3cr3t" not in command_line
        with serve_account_in_process(account_path, token="chosen") as other:
            assert other.token == "chosen" != account.token
            assert get(other, "leads").status_code == 200


def test_an_account_serves_with_every_switch(account_path: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[rules]]\nmethod = "leads"\naction = "insert"\nentity = "lead"\n'
        "row = {id = 2, is_deleted = 0}\nnth = 2\n\n"
        '[[rules]]\nmethod = "tasks"\naction = "bad_gateway"\n'
    )
    redirect_uri = "https://office.example/back"
    with (
        serve_account_in_process(
            account_path,
            limited=True,
            faults=plan,
            is_admin=False,
            tls_folder=tmp_path / "tls",
            tls_hosts=["account.example"],
            oauth=("8f2c", "s3cr3t"),
            redirect_uri=redirect_uri,
        ) as account,
        requests.Session() as session,
    ):
        session.trust_env = False  # an authority named by the environment would win
        session.verify = str(tmp_path / "tls" / "ca.pem")
        assert account.address.startswith("https://127.0.0.1:")
        assert get(account, "users", session).status_code == 403
        assert get(account, "tasks", session).status_code == 502
        for count in (1, 2):
            assert len(get(account, "leads", session).json()["_embedded"]["leads"]) == count

        sent = session.get(
            f"{account.address}/oauth",
            params={"client_id": "8f2c", "state": "mine"},
            allow_redirects=False,
            timeout=10,
        )
        target, _, query = sent.headers["location"].partition("?")
        back = {name: value for name, (value,) in parse_qs(query).items()}
        assert (target, back["state"]) == (redirect_uri, "mine")
        assert back["referer"] == urlsplit(account.address).netloc
        tokens = session.post(
            f"{account.address}/oauth2/access_token",
            json={
                "grant_type": "authorization_code",
                "client_id": "8f2c",
                "client_secret": "s3cr3t",
                "redirect_uri": redirect_uri,
                "code": back["code"],
            },
            timeout=10,
        ).json()
        assert get(account, "leads", session, tokens["access_token"]).status_code == 200
        unknown = session.get(f"{account.address}/oauth?client_id=other", timeout=10)
        assert unknown.status_code == 404

        assert any(get(account, "leads", session).status_code == 429 for _ in range(200))


def test_an_account_without_an_integration_authorises_nobody(account_path: Path) -> None:
    with serve_account_in_process(account_path) as account:
        for path in ("oauth?client_id=8f2c", "oauth2/account/current/subdomain"):
            assert requests.get(f"{account.address}/{path}", timeout=10).status_code in (401, 404)


def test_a_portal_is_converted_into_an_account(store_path: Path, tmp_path: Path) -> None:
    account_path = tmp_path / "converted.sqlite"
    assert run("convert", store_path, account_path).returncode == 0
    with serve_account_in_process(account_path) as account:
        leads = get(account, "leads").json()["_embedded"]["leads"]
        assert [lead["id"] for lead in leads] == [1, 2, 3]
    for source, said in ((store_path, "is there already"), (tmp_path / "no", "no portal store")):
        again = run("convert", source, account_path)
        assert (again.returncode, said in again.stderr) == (2, True)
        assert "Traceback" not in again.stderr
