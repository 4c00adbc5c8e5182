"""An application's tokens: one refresh for all who ask, nothing lost, nothing told."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from orchestration.settings import PROJECT_DIR
from sources.bitrix24 import oauth as module
from sources.bitrix24.oauth import OAuth
from sources.errors import SourceError
from sources.tokens import Stored, Tokens, TokenStore, token_file

# Every secret of these tests, issued tokens too, contains this word.
WORD = "t0psecret"
CLIENT_ID, CLIENT_SECRET = f"local.{WORD}-id", f"{WORD}/+ key"
SEED, CODE = f"{WORD}-seed", f"{WORD}-code"
MEMBER = "a223c6b3710f85df22e9377d6c4f7553"
PORTAL = "https://portal.example/rest/"


@dataclass
class TokenServer:
    """An authorisation server that takes every refresh token once.

    `scripted` answers go out before anything is looked at, as (status, body); a body of None
    rotates the token and then closes the connection, as a line that breaks does.
    """

    address: str = ""
    good: set[str] = field(default_factory=lambda: {SEED})
    codes: set[str] = field(default_factory=lambda: {CODE})
    asked: list[dict[str, str]] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    scripted: list[tuple[int, Any]] = field(default_factory=list)
    delay_seconds: float = 0.0
    issued: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, query: Mapping[str, str]) -> tuple[int, Any]:
        with self.guard:
            self.asked.append(dict(query))
            script = self.scripted.pop(0) if self.scripted else None
            if script is not None and script[1] is not None:
                return script
            if (query["client_id"], query["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
                return 400, {"error": "invalid_client"}
            is_refresh = query["grant_type"] == "refresh_token"
            valid = self.good if is_refresh else self.codes
            given = query["refresh_token" if is_refresh else "code"]
            if given not in valid:
                return 400, {"error": "invalid_grant"}
            valid.remove(given)
            self.issued += 1
            self.good.add(f"{WORD}-refresh-{self.issued}")
            if script is not None:
                return script
            return 200, {
                "access_token": f"{WORD}-access-{self.issued}",
                "refresh_token": f"{WORD}-refresh-{self.issued}",
                "expires_in": 3600,
                "client_endpoint": PORTAL,
                "server_endpoint": "https://oauth.bitrix.info/rest/",
                "domain": "oauth.bitrix.info",
                "member_id": MEMBER,
                "scope": "app",
                "status": "L",
                **self.overrides,
            }


@pytest.fixture
def server() -> Iterator[TokenServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            status, body = told.answer(query)
            time.sleep(told.delay_seconds)
            if body is None:
                self.close_connection = True
                return
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", told.address + "?elsewhere=1")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    told = TokenServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    told.address = f"http://127.0.0.1:{http.server_port}/oauth/token/"
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(token_file(tmp_path, "bitrix24", "main"))


Make = Callable[..., OAuth]


@pytest.fixture
def make(server: TokenServer, store: TokenStore) -> Make:
    def made(seed: str | None = SEED, **options: Any) -> OAuth:
        options = {"store": store, "token_url": server.address, "attempts": 2, **options}
        return OAuth(CLIENT_ID, CLIENT_SECRET, seed_refresh_token=seed, **options)

    return made


def _stored(store: TokenStore) -> Tokens:
    tokens = store.read().tokens
    assert tokens is not None
    return tokens


def test_the_seed_brings_the_first_tokens_and_is_used_once(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    oauth = make()
    before = dt.datetime.now(dt.UTC)
    assert oauth.endpoint() == PORTAL
    assert oauth.access_token() == f"{WORD}-access-1"
    assert make().access_token() == f"{WORD}-access-1"
    assert server.asked == [
        {
            "grant_type": "refresh_token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": SEED,
        }
    ]
    tokens = _stored(store)
    assert tokens.refresh_token == f"{WORD}-refresh-1"
    assert tokens.account_id == MEMBER
    assert dt.timedelta(seconds=3590) < tokens.expires_at - before < dt.timedelta(seconds=3660)


def test_a_refresh_uses_the_newest_refresh_token(make: Make, server: TokenServer) -> None:
    oauth = make()
    for number in range(1, 4):
        token = oauth.access_token()
        assert token == f"{WORD}-access-{number}"
        assert oauth.refresh(token) == f"{WORD}-access-{number + 1}"
    assert [query["refresh_token"] for query in server.asked] == [
        SEED,
        *(f"{WORD}-refresh-{number}" for number in range(1, 4)),
    ]


def test_nothing_is_refreshed_by_the_clock(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    server.overrides = {"expires_in": -10}
    make().access_token()
    assert _stored(store).expires_at < dt.datetime.now(dt.UTC)
    make().access_token()
    make().endpoint()
    assert len(server.asked) == 1


def test_a_token_refreshed_meanwhile_is_used(make: Make, server: TokenServer) -> None:
    mine, other = make(), make()
    failed = mine.access_token()
    fresh = other.refresh(failed)
    assert mine.refresh(failed) == fresh
    assert mine.access_token() == fresh
    assert len(server.asked) == 2


def test_tokens_stored_while_waiting_for_the_lock_are_used(
    make: Make, server: TokenServer, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().access_token()
    monkeypatch.setattr(store, "read", Stored)
    assert make().access_token() == f"{WORD}-access-1"
    assert len(server.asked) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_threads_that_ask_at_once_refresh_once(
    make: Make, server: TokenServer, is_first: bool
) -> None:
    oauth = make()
    failed = "" if is_first else oauth.access_token()
    server.asked.clear()
    server.delay_seconds = 0.2
    start, received = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        received.append(oauth.access_token() if is_first else oauth.refresh(failed))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert received == [f"{WORD}-access-{1 if is_first else 2}"] * 8
    assert len(server.asked) == 1


CHILD = """
import json, os, signal, sys, time
from pathlib import Path
import requests
from sources.bitrix24.oauth import OAuth
from sources.tokens import TokenStore
path, url, client_id, client_secret, seed, failed, moment = sys.argv[1:]
oauth = OAuth(client_id, client_secret, TokenStore(Path(path)), seed or None, url, attempts=2)
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
if moment == "answer":
    get = requests.Session.get
    def get_and_die(*arguments, **options):
        get(*arguments, **options)
        killed()
    requests.Session.get = get_and_die
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


def _children(
    server: TokenServer, paths: list[Path], failed: str, moment: str = ""
) -> list[tuple[int, str, str]]:
    """Let one process per path refresh, all at once; (exit code, what it received, errors)."""
    secrets = (CLIENT_ID, CLIENT_SECRET, SEED)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), server.address, *secrets, failed, moment],
            cwd=PROJECT_DIR,
            env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in paths
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    return [
        (process.returncode, out.strip(), errors)
        for process, (out, errors) in zip(processes, ended, strict=True)
    ]


def test_processes_that_ask_at_once_refresh_once(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    failed = make().access_token()
    server.asked.clear()
    server.delay_seconds = 0.5
    ended = _children(server, [store.path] * 2, failed)
    assert [(code, out) for code, out, _ in ended] == [(0, f"{WORD}-access-2")] * 2, ended
    assert len(server.asked) == 1


def test_processes_without_the_common_file_would_refresh_twice(
    make: Make, server: TokenServer, store: TokenStore, tmp_path: Path
) -> None:
    """What the test before would see without the lock: the server counts and refuses."""
    failed = make().access_token()
    server.asked.clear()
    copy = TokenStore(token_file(tmp_path / "copy", "bitrix24", "main"))
    with copy.locked() as held:
        held.save(_stored(store))
    ended = _children(server, [store.path, copy.path], failed)
    assert sorted(code for code, _, _ in ended) == [0, 1]
    assert len(server.asked) == 2


def test_killed_between_answer_and_save_says_what_happened(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    failed = make().access_token()
    began = dt.datetime.now(dt.UTC)
    [(code, out, _)] = _children(server, [store.path], failed, "answer")
    assert (code, out) == (-signal.SIGKILL, "")
    mark = store.read().mark
    assert mark is not None
    assert mark.refreshing_since >= began
    asked = len(server.asked)
    for _ in range(2):
        with pytest.raises(SourceError) as caught:
            make().access_token()
        sentence = str(caught.value)
        assert f"a refresh begun at {mark.refreshing_since:%Y-%m-%d %H:%M} UTC" in sentence
        assert "authorise the application anew (make authorise)" in sentence
        asked += 1
        assert len(server.asked) == asked
    make().authorise(CODE)
    assert make().access_token() == f"{WORD}-access-3"
    assert store.read().mark is None


def test_killed_before_the_server_took_the_token_goes_on(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    failed = make().access_token()
    with store.locked() as held:
        held.begin_refresh(_stored(store).refresh_token)
    assert make().access_token() == f"{WORD}-access-2"
    assert store.read().mark is None
    assert make().refresh(failed) == f"{WORD}-access-2"


def test_killed_before_the_renaming_loses_nothing(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    failed = make().access_token()
    [(code, out, _)] = _children(server, [store.path], failed, "rename")
    assert (code, out) == (-signal.SIGKILL, "")
    asked = len(server.asked)
    assert make().access_token() == f"{WORD}-access-2"
    assert _stored(store).refresh_token == f"{WORD}-refresh-2"
    assert store.read().mark is None
    assert len(server.asked) == asked


def test_the_new_token_is_on_disk_before_it_is_used(
    make: Make, server: TokenServer, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    oauth = make()
    failed = oauth.access_token()
    replace, calls = os.replace, []

    def fails_second(*names: Path) -> None:
        calls.append(names)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        replace(*names)

    monkeypatch.setattr(os, "replace", fails_second)
    with pytest.raises(SourceError, match="Input/output error"):
        oauth.refresh(failed)
    monkeypatch.undo()
    # Written, only not renamed: taken over by the next one.
    assert oauth.access_token() == f"{WORD}-access-2"
    assert len(server.asked) == 2


def test_without_a_writable_folder_nothing_is_sent(
    make: Make, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuses)
    with pytest.raises(SourceError, match="Read-only file system"):
        make().access_token()
    assert server.asked == []


def test_an_answer_lost_on_the_way_is_told_as_such(make: Make, server: TokenServer) -> None:
    oauth = make()
    failed = oauth.access_token()
    server.scripted = [(200, None)]
    with pytest.raises(SourceError, match="had no answer that could be saved"):
        oauth.refresh(failed)


def test_a_server_that_comes_back_is_asked_again(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    oauth = make(attempts=3)
    server.scripted = [(502, b"<html>bad gateway</html>"), (503, {"error": "OVERLOAD_LIMIT"})]
    assert oauth.access_token() == f"{WORD}-access-1"
    assert store.read().mark is None
    assert len(server.asked) == 3


def test_a_new_seed_wins_over_the_stored_tokens(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    oauth = make()
    oauth.refresh(oauth.access_token())
    server.good.add(f"{WORD}-seed-2")
    server.overrides = {"client_endpoint": "https://renamed.example/rest/"}
    assert make(f"{WORD}-seed-2").endpoint() == "https://renamed.example/rest/"
    assert make(f"{WORD}-seed-2").access_token() == f"{WORD}-access-3"
    assert server.asked[-1]["refresh_token"] == f"{WORD}-seed-2"
    # Known now; and without it the stored tokens go on.
    assert make(f"{WORD}-seed-2").access_token() == f"{WORD}-access-3"
    assert make(None).access_token() == f"{WORD}-access-3"
    assert make(None).refresh(f"{WORD}-access-3") == f"{WORD}-access-4"
    assert make(f"{WORD}-seed-2").access_token() == f"{WORD}-access-4"
    assert len(server.asked) == 4
    assert WORD not in _stored(store).seed_fingerprint


def test_a_new_seed_that_is_worthless_leaves_the_stored_tokens(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    make().access_token()
    with pytest.raises(SourceError, match="take refresh_token out of the secrets"):
        make(f"{WORD}-old-seed").access_token()
    assert make().access_token() == f"{WORD}-access-1"
    assert store.read().mark is None


def test_authorising_brings_tokens_that_win_over_the_seed_in_the_secrets(
    make: Make, server: TokenServer
) -> None:
    server.good.clear()
    with pytest.raises(SourceError, match="the refresh_token in the secrets is unknown"):
        make().access_token()
    assert make().authorise(CODE) == PORTAL
    assert make().access_token() == f"{WORD}-access-1"
    assert server.asked[-1] == {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": CODE,
    }
    with pytest.raises(SourceError, match="older than its 30 seconds"):
        make().authorise(CODE)


def test_without_seed_and_tokens_the_remedy_is_said(make: Make, server: TokenServer) -> None:
    for ask in (make(None).access_token, make(None).endpoint, lambda: make(None).refresh("x")):
        with pytest.raises(SourceError, match=r"not authorised yet: .*make authorise"):
            ask()
    assert server.asked == []


def test_another_portal_is_refused_and_stays_refused(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    make().access_token()
    stored = _stored(store)
    server.good.add(f"{WORD}-foreign")
    server.overrides = {"member_id": "f" * 32, "client_endpoint": "https://other.example/rest/"}
    for _ in range(2):
        # Said again without asking: the seed is used up, and invalid_grant would tell less.
        with pytest.raises(SourceError, match="another portal") as caught:
            make(f"{WORD}-foreign").access_token()
        assert "f" * 32 in str(caught.value)
        assert MEMBER in str(caught.value)
    assert len(server.asked) == 2
    assert _stored(store) == stored
    with pytest.raises(SourceError, match="another portal"):
        make().authorise(CODE)
    assert _stored(store) == stored
    server.overrides = {}
    assert make().access_token() == f"{WORD}-access-1"
    assert make().endpoint() == PORTAL
    assert make().refresh(f"{WORD}-access-1") == f"{WORD}-access-4"


def test_a_portal_that_moved_is_followed(make: Make, server: TokenServer) -> None:
    oauth = make()
    failed = oauth.access_token()
    server.overrides = {"client_endpoint": "https://renamed.example/rest"}
    oauth.refresh(failed)
    assert oauth.endpoint() == "https://renamed.example/rest/"
    assert make().endpoint() == "https://renamed.example/rest/"


def test_an_answer_that_leaves_out_the_portal_keeps_the_stored_one(
    make: Make, server: TokenServer, store: TokenStore
) -> None:
    oauth = make()
    failed = oauth.access_token()
    server.overrides = {"client_endpoint": None, "member_id": None, "expires_in": "soon"}
    assert oauth.refresh(failed) == f"{WORD}-access-2"
    assert oauth.endpoint() == PORTAL
    assert _stored(store).account_id == MEMBER


@pytest.mark.parametrize(
    "endpoint",
    ["http://portal.example/rest/", "https://u:p@portal.example/rest/", "portal.example", ""],
)
def test_an_unsafe_portal_address_gets_no_token_and_costs_none(
    make: Make, server: TokenServer, store: TokenStore, endpoint: str
) -> None:
    oauth = make()
    server.overrides = {"client_endpoint": endpoint}
    with pytest.raises(SourceError, match="turn on https"):
        oauth.access_token()
    assert _stored(store).refresh_token == f"{WORD}-refresh-1"
    with pytest.raises(SourceError, match="turn on https"):
        oauth.endpoint()
    assert _stored(store).refresh_token == f"{WORD}-refresh-2"
    server.overrides = {}
    assert oauth.access_token() == f"{WORD}-access-3"
    assert oauth.endpoint() == PORTAL


def test_tokens_count_whatever_stands_beside_them(make: Make, server: TokenServer) -> None:
    server.overrides = {"error": ""}
    assert make().access_token() == f"{WORD}-access-1"


def test_a_portal_on_loopback_may_be_plain(make: Make, server: TokenServer) -> None:
    server.overrides = {"client_endpoint": "http://127.0.0.1:8000/rest/"}
    assert make().endpoint() == "http://127.0.0.1:8000/rest/"


REFUSALS = {
    "invalid_client": "client_id or client_secret is wrong",
    "wrong_client": "client_id or client_secret is wrong",
    "NOT_INSTALLED": "see that it is installed",
    "invalid_grant": r"refresh_token in the secrets is unknown .* make authorise",
    "invalid_request": "are whole and without blanks",
    "insufficient_scope": "tick crm, user, department, telephony and task",
    "invalid_scope": "tick crm, user, department, telephony and task",
    "PAYMENT_REQUIRED": "renew it or install it again",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_names_the_remedy_and_may_be_tried_again(
    make: Make, server: TokenServer, store: TokenStore, code: str
) -> None:
    server.scripted = [(400, {"error": code, "error_description": f"{SEED} refused"})]
    with pytest.raises(SourceError, match=REFUSALS[code].replace(" .* ", ".*")):
        make().access_token()
    assert len(server.asked) == 1
    assert store.read().mark is None
    assert make().access_token() == f"{WORD}-access-1"


def test_a_known_refusal_counts_whatever_the_status(make: Make, server: TokenServer) -> None:
    for status in (200, 402, 500):
        server.scripted = [(status, {"error": "payment_required"})]
        with pytest.raises(SourceError, match="renew it"):
            make().access_token()


def _times_out(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    server.scripted = [(200, b"")] * 2
    server.delay_seconds = 0.3


def _refuses_connections(_: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refused)


def _answers(status: int, body: Any) -> Callable[[TokenServer, pytest.MonkeyPatch], None]:
    def prepare(server: TokenServer, _: pytest.MonkeyPatch) -> None:
        server.scripted = [(status, body)] * 2

    return prepare


def _overrides(**values: Any) -> Callable[[TokenServer, pytest.MonkeyPatch], None]:
    def prepare(server: TokenServer, _: pytest.MonkeyPatch) -> None:
        server.overrides = values

    return prepare


def _loses_the_answer(server: TokenServer, _: pytest.MonkeyPatch) -> None:
    server.scripted = [(200, None)]


def _full_disk(_: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


ECHO = f"client_secret={CLIENT_SECRET} refresh_token={WORD}-refresh-1 t0psecret%2F%2B%20key"
Prepare = Callable[[TokenServer, pytest.MonkeyPatch], None]
FAILURES: Mapping[str, tuple[Prepare, str]] = {
    "timeout": (_times_out, "no answer in time"),
    "no connection": (_refuses_connections, "no connection"),
    "answer lost": (_loses_the_answer, "is lost"),
    "server error": (_answers(500, b"oops"), "HTTP 500"),
    "no JSON": (_answers(200, f"<html>{ECHO}".encode()), "HTTP 200, no JSON"),
    "JSON cut off": (_answers(200, f'{{"access_token": "{WORD}-access-9'.encode()), "no JSON"),
    "a list": (_answers(200, [WORD]), "no JSON object"),
    "redirect": (_answers(302, b""), "HTTP 302"),
    "no tokens": (_answers(200, {"hello": WORD}), "without access_token"),
    "half of the tokens": (_answers(200, {"access_token": WORD}), "without access_token"),
    "unknown code, secrets quoted": (
        _answers(400, {"error": "odd", "error_description": ECHO}),
        "client_secret=… refresh_token=… …",
    ),
    "secrets in the code": (_answers(400, {"error": ECHO}), "client_secret=… refresh_token=… …"),
    **{
        code: (_answers(400, {"error": code, "error_description": ECHO}), "refused connection")
        for code in REFUSALS
    },
    "another portal": (_overrides(member_id="f" * 32), "another portal"),
    "unsafe portal": (_overrides(client_endpoint=f"http://{WORD}.example/rest/"), "https"),
    "full disk": (_full_disk, "No space left on device"),
}


def _everything_told(error: BaseException | None) -> str:
    """What a log, a debugger or an error tracker may print of an error and all behind it."""
    told = []
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        told += ["".join(traceback.format_exception(current)), repr(current), str(current)]
        told += [str(getattr(getattr(current, "request", None), "url", "")), str(vars(current))]
        queue += [current.__context__, current.__cause__]
    return "\n".join(told)


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_tells_a_secret(
    make: Make,
    server: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: str,
) -> None:
    oauth = make()
    failed = oauth.access_token()
    prepare, sentence = FAILURES[failure]
    prepare(server, monkeypatch)
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
        oauth.refresh(failed)
    monkeypatch.undo()
    told = _everything_told(caught.value)
    assert WORD not in told
    assert WORD not in caplog.text
    assert sentence in str(caught.value)
    assert WORD not in repr(oauth)


def test_the_search_for_secrets_finds_those_of_the_http_library(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The control of the test before: the same search, on what a careless client would raise."""

    def careless() -> None:
        try:
            response = requests.get(server.address, params={"refresh_token": SEED}, timeout=5)
            response.raise_for_status()
        except requests.RequestException:
            raise SourceError("the token server refuses") from None

    server.scripted = [(500, b"")]
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, logger="urllib3"),
        pytest.raises(SourceError) as caught,
    ):
        careless()
    # `from None` hides it from a printed traceback only.
    assert WORD not in "".join(traceback.format_exception(caught.value))
    assert WORD in _everything_told(caught.value)
    assert WORD in caplog.text


@pytest.mark.parametrize("url", ["http://auth.example/", f"https://{WORD}@auth.example/", ""])
def test_an_unsafe_token_url_is_refused(make: Make, url: str) -> None:
    with pytest.raises(SourceError, match="no https address") as caught:
        make(token_url=url)
    assert WORD not in _everything_told(caught.value)
