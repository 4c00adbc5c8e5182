"""Serving: https with a throw-away authority, and the switches of the command line."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sources.demo.certificates import issue_certificate
from sources.demo.portal import Portal
from sources.demo.server import serve_in_process, serve_in_thread
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


def serve(store: Path, *arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sources.demo", "serve", str(store), *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_missing_secrets_files_and_plans_are_said(store_path: Path, tmp_path: Path) -> None:
    for arguments, typed, said in (
        ((), "\n", "first line of standard input"),
        (("--oauth",), "code\nlocal.1\n", "second and third"),
        (("--faults", str(tmp_path / "no.toml")), "code\n", "does not exist"),
    ):
        finished = serve(store_path, *arguments, typed=typed)
        assert finished.returncode == 2
        assert said in finished.stderr
        assert "Traceback" not in finished.stderr
    missing = serve(tmp_path / "no.sqlite", typed="code\n")
    assert (missing.returncode, "no portal store" in missing.stderr) == (2, True)
