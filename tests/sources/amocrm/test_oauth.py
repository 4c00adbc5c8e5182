"""An amoCRM application's tokens: one refresh for all who ask, nothing lost, nothing told.

What is common to all systems is tested with Bitrix24's; here is what differs, and the rotation over
processes once more, since a lost token costs an administrator's visit.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestration.settings import PROJECT_DIR
from sources.amocrm import AmoClient, AmoOAuth
from sources.amocrm import oauth as module
from sources.amocrm.oauth import _claim, _is_vendors
from sources.demo.amocrm.oauth import AmoOAuth as Integration
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.server import serve_in_thread
from sources.errors import SourceError
from sources.tokens import TokenStore, token_file
from tests.support.amo_accounts import make_account

SECRET, REDIRECT = "t0psecret-key", "https://application.example/callback"
SERVED = tuple[AmoPortal, str]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SERVED]:
    integration = Integration("id", SECRET, REDIRECT)
    portal = AmoPortal(make_account(tmp_path / "a.sqlite"), token="", oauth=integration)
    with serve_in_thread(portal) as address:
        yield portal, address


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(token_file(tmp_path, "amocrm", "shop"))


@pytest.fixture
def make(served: SERVED, store: TokenStore) -> Callable[..., AmoOAuth]:
    def made(seed: str | None = None, **options: Any) -> AmoOAuth:
        given = {
            "account_url": served[1],
            "client_id": "id",
            "client_secret": SECRET,
            "redirect_uri": REDIRECT,
            "store": store,
            "seed_refresh_token": seed,
            "connection": "shop",
            "attempts": 2,
        }
        return AmoOAuth(**{**given, **options})

    return made


Make = Callable[..., AmoOAuth]


def integration(served: SERVED) -> Integration:
    assert served[0].oauth is not None
    return served[0].oauth


def seed_of(served: SERVED) -> str:
    return str(integration(served).issue()["refresh_token"])


def test_the_seed_brings_the_first_tokens_and_is_used_once(served: SERVED, make: Make) -> None:
    oauth = make(seed_of(served))
    first = oauth.access_token()
    assert integration(served).admits(first)
    assert oauth.access_token() == first
    assert oauth.endpoint() == served[1]
    assert integration(served).refreshes == 1


def test_a_load_goes_on_when_its_token_expires(served: SERVED, make: Make) -> None:
    client = AmoClient(make(seed_of(served)), "shop", requests_per_second=0)
    assert client.get("account").body["id"] == 31
    integration(served).expire_access_tokens()
    assert client.get("account").body["id"] == 31
    assert integration(served).refreshes == 2
    integration(served).expire_access_tokens()
    assert client.get("account").body["id"] == 31
    assert integration(served).refreshes == 3


def test_a_code_is_exchanged_for_tokens_that_last(served: SERVED, make: Make) -> None:
    oauth = make()
    with pytest.raises(SourceError, match="application of connection 'shop' is not authorised yet"):
        oauth.access_token()
    code = integration(served).code()
    assert oauth.authorise(code) == served[1]
    assert integration(served).admits(oauth.access_token())
    with pytest.raises(SourceError, match="older than its 20 minutes") as refused:
        oauth.authorise(code)
    assert code not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"client_secret": "t0psecret-other"}, "client_id, client_secret or redirect_uri"),
        ({"redirect_uri": "https://other.example/"}, "client_id, client_secret or redirect_uri"),
        ({"seed_refresh_token": "t0psecret-unknown"}, "refresh_token in the secrets is unknown"),
    ],
)
def test_a_refusal_names_the_remedy_and_no_secret(
    served: SERVED, make: Make, options: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceError, match=said) as refused:
        make(**{"seed": seed_of(served), **options}).access_token()
    told = "".join(traceback.format_exception(refused.value))
    assert "t0psecret" not in told


def test_a_used_seed_is_told_as_used(served: SERVED, make: Make, store: TokenStore) -> None:
    seed = seed_of(served)
    make(seed).access_token()
    store.path.unlink()
    with pytest.raises(SourceError, match="used already"):
        make(seed).access_token()


CHILD = """
import os, signal, sys
from pathlib import Path
import requests
from sources.amocrm.oauth import AmoOAuth
from sources.tokens import TokenStore
path, url, secret, redirect, failed, moment = sys.argv[1:]
oauth = AmoOAuth(url, "id", secret, redirect, TokenStore(Path(path)), attempts=2)
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
if moment == "answer":
    post = requests.Session.post
    def post_and_die(*arguments, **options):
        post(*arguments, **options)
        killed()
    requests.Session.post = post_and_die
if moment == "rename":
    replace, renamed = os.replace, []
    def replace_once(*names):
        # The first renaming is that of the mark, before the request.
        killed() if renamed else renamed.append(replace(*names))
    os.replace = replace_once
print("ready", flush=True)
sys.stdin.readline()
print(oauth.refresh(failed), flush=True)
"""


def children(
    served: SERVED, store: TokenStore, failed: str, count: int, moment: str = ""
) -> list[tuple[int, str]]:
    """Let processes refresh, all at once; (exit code, what each received)."""
    arguments = [str(store.path), served[1], SECRET, REDIRECT, failed, moment]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            cwd=PROJECT_DIR,
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    return [(p.returncode, out.strip()) for p, (out, _) in zip(processes, ended, strict=True)]


def test_processes_that_ask_at_once_refresh_once(
    served: SERVED, make: Make, store: TokenStore
) -> None:
    failed = make(seed_of(served)).access_token()
    before = integration(served).refreshes
    ended = children(served, store, failed, 2)
    assert integration(served).refreshes == before + 1
    (first, second) = ended
    assert first == second
    assert first[0] == 0
    assert integration(served).admits(first[1])


def test_killed_between_answer_and_save_says_what_happened(
    served: SERVED, make: Make, store: TokenStore
) -> None:
    oauth = make(seed_of(served))
    failed = oauth.access_token()
    ((code, _),) = children(served, store, failed, 1, "answer")
    assert code != 0
    with pytest.raises(SourceError, match="had no answer that could be saved"):
        oauth.access_token()


def test_killed_before_the_renaming_loses_nothing(
    served: SERVED, make: Make, store: TokenStore
) -> None:
    oauth = make(seed_of(served))
    failed = oauth.access_token()
    ((code, _),) = children(served, store, failed, 1, "rename")
    assert code != 0
    assert oauth.access_token() != failed
    assert integration(served).admits(oauth.access_token())


def test_a_moved_account_is_followed(
    served: SERVED, make: Make, store: TokenStore, tmp_path: Path
) -> None:
    oauth = make(seed_of(served))
    failed = oauth.access_token()
    portal = served[0]
    there = Integration("id", SECRET, REDIRECT)
    there.__dict__.update({**integration(served).__dict__, "moved_to": ""})
    moved = AmoPortal(portal.store, token="", oauth=there)
    with serve_in_thread(moved) as address:
        integration(served).moved_to = address.removeprefix("http://").rstrip("/")
        integration(served).expire_access_tokens()
        renewed = oauth.refresh(failed)
        assert there.admits(renewed)
        assert oauth.endpoint() == address
        # Another process, which knows only the address of the secrets, finds it in the store.
        again = make()
        assert again.endpoint() == address
        there.expire_access_tokens()
        assert there.admits(again.refresh(renewed))
        client = AmoClient(again, "shop", requests_per_second=0)
        assert client.get("account").body["id"] == 31


def test_an_account_that_is_nowhere_is_told(
    served: SERVED, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration(served).moved_to = "evil.example"
    with pytest.raises(SourceError, match="no account at this address"):
        make(seed_of(served)).access_token()


@pytest.mark.parametrize(
    ("host", "known", "may"),
    [
        ("new.amocrm.ru", "old.amocrm.ru", True),
        ("new.kommo.com", "old.amocrm.com", True),
        ("api-b.amocrm.ru", "old.amocrm.ru", True),
        ("amocrm.ru.evil.example", "old.amocrm.ru", False),
        ("evilamocrm.ru", "old.amocrm.ru", False),
        ("user@new.amocrm.ru", "old.amocrm.ru", False),
        ("new.amocrm.ru:8443", "old.amocrm.ru", False),
        ("new.amocrm.ru/path", "old.amocrm.ru", False),
        ("127.0.0.1:81", "old.amocrm.ru", False),
        ("127.0.0.1:81", "127.0.0.1:80", True),
        ("new.amocrm.ru", "127.0.0.1:80", False),
        ("", "old.amocrm.ru", False),
        ("[", "old.amocrm.ru", False),
    ],
)
def test_secrets_go_to_the_vendor_alone(host: str, known: str, may: bool) -> None:
    assert _is_vendors(host, known) is may


def test_the_api_server_is_read_from_the_access_token() -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"api_domain": "api-b.amocrm.ru"}).encode())
    assert _claim(f"a.{payload.decode().rstrip('=')}.c", "api_domain") == "api-b.amocrm.ru"
    for broken in ("", "a.b", "a.!.c", "a.bnVsbA.c"):
        assert _claim(broken, "api_domain") == ""


def test_the_api_server_is_asked_where_the_account_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    class Session:
        def get(self, url: str, **options: Any) -> requests.Response:
            asked.append((url, options["headers"]))
            response = requests.Response()
            response.status_code = 200
            response._content = b'{"domain": "new.amocrm.ru"}'
            return response

    oauth = AmoOAuth("https://old.amocrm.ru", "id", SECRET, REDIRECT, TokenStore(Path("x")))
    monkeypatch.setattr(module, "_claim", lambda token, name: "api-b.amocrm.ru")
    assert oauth._moved_to(Session(), "refresh") == "https://new.amocrm.ru"  # type: ignore[arg-type]
    url = "https://api-b.amocrm.ru/oauth2/account/current/subdomain"
    assert asked == [(url, {"X-Refresh-Token": "refresh"})]


@pytest.mark.parametrize("url", ["http://shop.amocrm.ru", "https://a@shop.amocrm.ru", "shop"])
def test_an_unsafe_account_url_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="account_url of connection 'main' is no https"):
        AmoOAuth(url, "id", SECRET, REDIRECT, TokenStore(Path("x")))
