"""The Bitrix24 client: waits or says what to do, never returns less, never tells the secret."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from sources.bitrix24 import tables
from sources.bitrix24.client import (
    DECODING_THREADS,
    PASSING_TRIES,
    Answer,
    Bitrix24Client,
    MethodBlockedError,
)
from sources.bitrix24.errors import PortalError
from sources.demo.faults import FaultPlan
from sources.demo.limiter import LeakyBucket
from sources.demo.methods import METHODS, MethodError
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore

DATA = Path(__file__).parents[2] / "data" / "bitrix24"
SECRET = "t0psecretwebhook"
DEALS = 130
TIME = {"date_finish": "2026-01-01T12:00:00+03:00"}


@dataclass
class Scripted:
    """A web server that answers what it is told, the last answer for ever."""

    address: str
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    delay_seconds: float = 0.0

    def says(self, *answers: tuple[int, Any]) -> Bitrix24Client:
        self.answers = list(answers)
        return Bitrix24Client(self.address)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            told.asked.append((self.path, json.loads(self.rfile.read(length) or b"null")))
            time.sleep(told.delay_seconds)
            status, body = told.answers[0]
            if len(told.answers) > 1:
                told.answers.pop(0)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", f"https://elsewhere.example{self.path}")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = Scripted(f"http://127.0.0.1:{server.server_port}/rest/1/{SECRET}/")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds the client wanted to sleep; it does not."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    return slept


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalStore]:
    with PortalStore(tmp_path_factory.mktemp("portal") / "portal.sqlite") as store:
        store.create()
        store.insert("deal", ({"ID": n, "STAGE_ID": "NEW"} for n in range(1, DEALS + 1)))
        store.insert("user", [{"ID": 1, "ACTIVE": 1}])
        store.insert("activity", [{"ID": 1, "OWNER_TYPE_ID": 2, "OWNER_ID": 1, "TYPE_ID": 2}])
        store.finish()
        yield store


@pytest.fixture
def portal(store: PortalStore) -> Iterator[tuple[Portal, Bitrix24Client]]:
    portal = Portal(store, code=SECRET)
    with serve_in_thread(portal) as address:
        yield portal, Bitrix24Client(address)


def refusal(call: Callable[[], Any]) -> PortalError:
    with pytest.raises(PortalError) as caught:
        call()
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert_secret_untold(caught.value)
    return caught.value


def told(error: BaseException) -> str:
    """All that an exception and the ones chained to it say, however they are printed."""
    parts: list[str] = []
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        parts += [str(link), repr(link), repr(link.args), repr(vars(link))]
        waiting += [link.__cause__, link.__context__]
    return "\n".join([*parts, *traceback.format_exception(error)])


def assert_secret_untold(error: BaseException) -> None:
    assert SECRET not in told(error)


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "https://demo.bitrix24.ru/rest/1/abc/",
        "https://demo.bitrix24.ru/rest/1/abc",
        "  https://demo.bitrix24.ru/rest/1/abc/ \n",
        "https://crm.company.example:8443/rest/15/abc/",
    ],
)
def test_a_webhook_address_is_taken_as_the_portal_prints_it(address: str) -> None:
    client = Bitrix24Client(address)
    assert client.portal_url == address.strip().partition("/rest/")[0]
    assert client._base == f"{client.portal_url}/rest/{address.split('/')[4]}/abc/"


@pytest.mark.parametrize(
    "address",
    [
        "",
        SECRET,
        f"demo.bitrix24.ru/rest/1/{SECRET}/",
        f"http://demo.bitrix24.ru/rest/1/{SECRET}/",
        f"ftp://127.0.0.1/rest/1/{SECRET}/",
        "https://demo.bitrix24.ru/",
        f"https://demo.bitrix24.ru/rest/{SECRET}/",
        f"https://demo.bitrix24.ru/rest/admin/{SECRET}/",
        f"https://demo.bitrix24.ru/rest/1/{SECRET}/profile.json",
        f"https://demo.bitrix24.ru/rest/1/{SECRET}/?auth=1",
        f"https://demo.bitrix24.ru/rest/1/{SECRET}/#top",
        f"https://user:{SECRET}@demo.bitrix24.ru/rest/1/abc/",
        f"https:///rest/1/{SECRET}/",
        f"https://[demo/rest/1/{SECRET}/",
    ],
)
def test_an_address_of_another_form_is_refused_with_the_right_form(address: str) -> None:
    error = refusal(lambda: Bitrix24Client(address, "wholesale"))
    assert "'wholesale'" in str(error)
    assert "https://<portal>/rest/<user id>/<secret>/" in str(error)


def test_the_client_shows_its_host_but_not_its_secret() -> None:
    client = Bitrix24Client(f"https://demo.bitrix24.ru/rest/1/{SECRET}/")
    assert SECRET not in repr(client) + str(client)
    assert "demo.bitrix24.ru" in repr(client)


# Documented errors

INDEX = json.loads((DATA / "errors" / "INDEX.json").read_text(encoding="utf-8"))
DOCUMENTED = {row["file"]: row["http_status"] for row in INDEX}
REMEDIES = {
    "400.ERROR_BATCH_LENGTH_EXCEEDED.json": ["Max batch length exceeded", "run again", "report"],
    "400.INVALID_REQUEST.json": ["INVALID_REQUEST", "https", "correct the webhook address"],
    "400.numeric_error_zero.json": ["SHIPMENT_DOCUMENT entity is not supported", "report"],
    "401.NO_AUTH_FOUND.json": ["NO_AUTH_FOUND", "make a new one"],
    "401.expired_token.json": ["expired_token", "has expired", "make a new webhook"],
    "403.ACCESS_DENIED.json": ["ACCESS_DENIED", "commercial plan", "administrator"],
    "403.INVALID_CREDENTIALS.json": ["INVALID_CREDENTIALS", "revoked", "make a new one"],
    "403.insufficient_scope.json": ["insufficient_scope", "give it crm, user, department"],
    "403.user_access_error.json": ["user_access_error", "administrator"],
    "405.ERROR_BATCH_METHOD_NOT_ALLOWED.json": ["not allowed for batch usage", "report"],
    "500.PORTAL_DELETED.json": ["PORTAL_DELETED", "remove the connection"],
    "503.OVERLOAD_LIMIT.json": ["OVERLOAD_LIMIT", "Bitrix24's support"],
}
WAITED_FOR = {
    "429.OPERATION_TIME_LIMIT.json",
    "500.ERROR_UNEXPECTED_ANSWER.json",
    "500.INTERNAL_SERVER_ERROR.json",
    "503.QUERY_LIMIT_EXCEEDED.json",
}


def documented_error(file: str) -> dict[str, Any]:
    return json.loads((DATA / "errors" / file).read_text(encoding="utf-8"))


def test_every_documented_error_is_either_told_or_waited_for() -> None:
    files = {path.name for path in (DATA / "errors").glob("*.json")} - {"INDEX.json"}
    assert files == DOCUMENTED.keys() == REMEDIES.keys() | WAITED_FOR


def test_the_errors_that_the_vendor_says_to_retry_are_waited_for() -> None:
    assert {row["file"] for row in INDEX if row["retry"].startswith("yes")} == WAITED_FOR
    told = {row["file"] for row in INDEX if row["retry"].startswith("no")}
    # A webhook has no token to refresh; for an application see test_oauth.
    assert told | {"401.expired_token.json"} == REMEDIES.keys()


@pytest.mark.parametrize("file", REMEDIES)
def test_a_documented_error_names_its_remedy(
    scripted: Scripted, waits: list[float], file: str
) -> None:
    client = scripted.says((DOCUMENTED[file], documented_error(file)))
    error = refusal(lambda: client.call("crm.deal.list"))
    missing = [words for words in REMEDIES[file] if words not in str(error)]
    assert missing == [], str(error)
    assert "127.0.0.1 refused crm.deal.list" in str(error)
    assert error.code == str(documented_error(file)["error"]).casefold()
    assert (len(scripted.asked), waits) == (1, [])


@pytest.mark.parametrize("file", sorted(WAITED_FOR))
def test_a_documented_limit_is_waited_for(
    scripted: Scripted, waits: list[float], file: str
) -> None:
    refused = (DOCUMENTED[file], documented_error(file))
    client = scripted.says(refused, refused, (200, {"result": [1], "time": TIME}))
    assert client.call("crm.deal.list").result == [1]
    assert len(scripted.asked) == 3
    if file == "429.OPERATION_TIME_LIMIT.json":
        # Without a time block nobody says until when.
        assert waits == [30.0, 30.0]
        return
    assert len(waits) == 2
    assert all(0.5 <= seconds <= 2.0 for seconds in waits)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("crm.deal.list.error.2.json", ["Parameter 'filter' must be array", "report"]),
        ("crm.contact.list.error.2.json", ["lacks a right", "administrator's webhook"]),
        ("crm.status.list.error.2.json", ["Incorrect parameters passed", "report"]),
        ("crm.activity.list.error.2.json", ["https"]),
        ("crm.category.list.error.2.json", ["NOT_FOUND", "correct smart_processes", "'main'"]),
        ("crm.stagehistory.list.error.2.json", ["SHIPMENT_DOCUMENT", "report"]),
        ("voximplant.statistic.get.error.2.json", ["Call statistics, View"]),
    ],
)
def test_the_documented_error_of_a_method_names_its_remedy(
    scripted: Scripted, file: str, said: list[str]
) -> None:
    body = json.loads((DATA / "bodies" / file).read_text(encoding="utf-8"))
    client = scripted.says((400, body))
    message = str(refusal(lambda: client.call(file.partition(".error")[0])))
    assert [words for words in said if words not in message] == [], message


@pytest.mark.parametrize("status", [401, 403])
def test_an_unknown_code_of_401_and_403_points_at_the_webhook(
    scripted: Scripted, status: int
) -> None:
    client = scripted.says((status, {"error": "SOMETHING_NEW", "error_description": "?"}))
    assert "make a new one" in str(refusal(lambda: client.call("user.get")))


# Limits


@pytest.mark.parametrize(
    ("reset_at", "seconds"),
    [
        (1767258060, 60),  # 2026-01-01T12:01:00+03:00
        ("1767258060", 60),
        ("2026-01-01T12:01:00+03:00", 60),
        ("2026-01-01T09:05:00+00:00", 300),
        (1767258000 - 30, 1),  # already over
        (1767258000 + 86_400, 660),  # never longer than the portal's ten minutes and a little
    ],
)
def test_the_time_limit_is_waited_for_until_the_portal_renews_it(
    scripted: Scripted, waits: list[float], reset_at: Any, seconds: float
) -> None:
    refused = documented_error("429.OPERATION_TIME_LIMIT.json")
    refused["time"] = {**TIME, "operating_reset_at": reset_at}
    client = scripted.says((429, refused), (200, {"result": [1]}))
    assert client.call("crm.deal.list").result == [1]
    assert waits == [seconds]


def test_a_limit_that_outlasts_the_patience_is_told(scripted: Scripted) -> None:
    client = scripted.says((503, documented_error("503.QUERY_LIMIT_EXCEEDED.json")))
    client.max_wait_seconds = 0.05
    error = refusal(lambda: client.call("crm.deal.list"))
    assert "QUERY_LIMIT_EXCEEDED" in str(error)
    assert "run again later" in str(error)
    assert error.code == "query_limit_exceeded"
    assert len(scripted.asked) > 1


def test_a_method_that_stays_blocked_for_too_long_is_told(
    scripted: Scripted, waits: list[float]
) -> None:
    client = scripted.says((429, documented_error("429.OPERATION_TIME_LIMIT.json")))
    client.max_wait_seconds = 100
    error = refusal(lambda: client.call("crm.deal.list"))
    assert "kept refusing crm.deal.list (OPERATION_TIME_LIMIT) for longer than 100 s" in str(error)
    assert waits == [30.0] * 4


def test_after_a_limit_all_rows_arrive(
    portal: tuple[Portal, Bitrix24Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, client = portal
    moment = [0.0]
    served.bucket = LeakyBucket(drain_per_second=2, threshold=1, now=lambda: moment[0])

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=sleep))
    ids = [int(row["ID"]) for page in client.pages("crm.deal.list", {}) for row in page.result]
    assert ids == list(range(1, DEALS + 1))
    assert served.requests > served.calls["crm.deal.list"] == 3, "the limit was never met"
    assert moment[0] > 0


def test_a_limit_in_the_middle_of_paging_loses_nothing(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    limit = MethodError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
    pages = client.pages("crm.deal.list", {})
    first = next(pages).result
    served.faults["crm.deal.list"] = [limit, limit, limit]
    rest = [row for page in pages for row in page.result]
    assert [int(row["ID"]) for row in first + rest] == list(range(1, DEALS + 1))
    assert len(waits) == 3


def test_a_limit_inside_a_batch_is_waited_for(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    served.faults["user.get"] = [MethodError(429, "OPERATION_TIME_LIMIT", "Method is blocked")]
    commands = {"users": "user.get", "deals": "crm.deal.list"}
    answers = client.batch_with_errors(commands, may_wait=True)
    found = [answers[key] for key in ("users", "deals")]
    assert [len(answer.result) for answer in found if isinstance(answer, Answer)] == [1, 50]
    assert len(waits) == 1


def test_a_blocked_method_of_a_batch_may_be_left_to_the_caller(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    served.fault_plan = FaultPlan(
        [{"method": "user.get", "action": "operation_limit", "seconds": 77}]
    )
    with pytest.raises(MethodBlockedError) as blocked:
        client.batch({"users": "user.get", "deals": "crm.deal.list"})
    assert blocked.value.seconds == pytest.approx(77, abs=1)
    assert waits == []
    assert client.batch({"users": "user.get"})["users"].total == 1


def test_a_full_bucket_inside_a_batch_is_waited_for(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    limit = MethodError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
    served.faults["user.get"] = [limit, limit]
    assert client.batch({"users": "user.get"})["users"].total == 1
    assert (len(waits), client.limits_met, served.requests) == (2, 2, 3)


# No portal at the other end


def test_a_portal_that_is_not_there_is_told_in_one_sentence(
    closed_port: int, waits: list[float]
) -> None:
    address = f"http://127.0.0.1:{closed_port}/rest/1/{SECRET}/"
    with pytest.raises(requests.ConnectionError) as raw:
        requests.post(address + "user.get", timeout=5)
    assert SECRET in told(raw.value), "the control must show what could leak"

    error = refusal(lambda: Bitrix24Client(address, "wholesale").call("user.get"))
    assert "127.0.0.1 can't be reached (no connection)" in str(error)
    assert "check the network" in str(error)
    assert "'wholesale'" in str(error)
    assert error.is_connection_wide
    assert len(waits) == PASSING_TRIES - 1
    for attempt, seconds in enumerate(waits):
        # Doubled each time; up to half a second apart, so that threads don't come all at once.
        assert 0.5 * 2**attempt <= seconds <= 0.5 * 2**attempt + 0.5


def test_a_portal_that_does_not_answer_in_time_is_told(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.bitrix24.client.REQUEST_SECONDS", 0.05)
    client = scripted.says((200, {"result": []}))
    scripted.delay_seconds = 0.2
    assert "no answer in time" in str(refusal(lambda: client.call("user.get")))
    assert len(scripted.asked) == PASSING_TRIES


def test_a_portal_that_answers_late_once_is_asked_again(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr("sources.bitrix24.client.REQUEST_SECONDS", 0.05)
    client = scripted.says((200, {"result": [1]}))
    scripted.delay_seconds = 0.2

    def answer_at_once(seconds: float) -> None:
        waits.append(seconds)
        scripted.delay_seconds = 0.0
        monkeypatch.setattr("sources.bitrix24.client.REQUEST_SECONDS", 5)

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=answer_at_once))
    assert client.call("user.get").result == [1]
    assert len(waits) == 1


def test_a_certificate_that_is_not_trusted_is_told(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = scripted.says((200, {"result": []}))

    def refuse(*_: Any, **__: Any) -> None:
        raise requests.exceptions.SSLError(f"certificate of {scripted.address}")

    monkeypatch.setattr(client._session(), "post", refuse)
    assert "TLS certificate is not trusted" in str(refusal(lambda: client.call("user.get")))


def test_a_lost_connection_is_tried_again(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = scripted.says((200, {"result": [1]}))
    post = client._session().post
    broken = [
        requests.ConnectionError(scripted.address),
        requests.exceptions.ChunkedEncodingError(),
    ]

    def flaky(*arguments: Any, **options: Any) -> requests.Response:
        if broken:
            raise broken.pop()
        return post(*arguments, **options)

    monkeypatch.setattr(client._session(), "post", flaky)
    assert client.call("user.get").result == [1]


@pytest.mark.parametrize(
    "action", ["bad_gateway", "html", "not_json", "half_body", "reset", "server_error"]
)
def test_what_passes_is_tried_again_and_all_rows_arrive(
    portal: tuple[Portal, Bitrix24Client], waits: list[float], action: str
) -> None:
    served, client = portal
    served.fault_plan = FaultPlan(
        [{"method": "crm.deal.list", "action": action, "nth": 2, "times": PASSING_TRIES - 1}]
    )
    ids = [int(row["ID"]) for page in client.pages("crm.deal.list", {}) for row in page.result]
    assert ids == list(range(1, DEALS + 1))
    assert len(waits) == PASSING_TRIES - 1
    assert served.fault_plan.fired[action] == PASSING_TRIES - 1


def test_a_server_error_of_one_command_is_tried_again(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    broken = {"method": "user.get", "action": "command_error", "code": "INTERNAL_SERVER_ERROR"}
    served.fault_plan = FaultPlan([broken])
    assert client.batch({"users": "user.get"})["users"].total == 1
    served.fault_plan = FaultPlan([{**broken, "times": "forever"}])
    assert "refused user.get" in str(refusal(lambda: client.batch({"users": "user.get"})))
    assert len(waits) == 1 + PASSING_TRIES - 1


def test_a_command_that_never_passes_leaves_the_others_their_answers(
    portal: tuple[Portal, Bitrix24Client],
) -> None:
    served, client = portal
    served.fault_plan = FaultPlan(
        [
            {
                "method": "user.get",
                "action": "command_error",
                "code": "INTERNAL_SERVER_ERROR",
                "times": "forever",
            }
        ]
    )
    answers = client.batch_with_errors({"users": "user.get", "deals": "crm.deal.list"})
    assert isinstance(answers["users"], PortalError)
    assert isinstance(answers["deals"], Answer)
    assert answers["deals"].total == DEALS


def test_waits_for_the_bucket_use_up_no_try(scripted: Scripted, waits: list[float]) -> None:
    busy = (503, {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"})
    client = scripted.says(*[busy] * (PASSING_TRIES + 2), (502, b"<html>"), (200, {"result": 1}))
    assert client.call("profile").result == 1
    assert len(waits) == PASSING_TRIES + 3


def test_what_waits_for_its_next_try_holds_no_turn(scripted: Scripted) -> None:
    client = scripted.says((403, {"error": "ACCESS_DENIED", "error_description": "No"}))
    with client.one_of_few():
        refusal(lambda: client.call("profile"))
        assert not client._local.has_turn
    assert client._turns._value == DECODING_THREADS


def test_a_secret_that_the_portal_quotes_is_masked(scripted: Scripted) -> None:
    client = scripted.says(
        (400, {"error": "ODD", "error_description": f"No route /rest/1/{SECRET}/profile"})
    )
    assert "No route /rest/1/…/profile" in str(refusal(lambda: client.call("profile")))


def test_a_blocked_portal_is_told_at_once(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, client = portal
    served.overloaded = True
    error = refusal(lambda: client.call("user.get"))
    assert (error.code, error.is_connection_wide, waits) == ("overload_limit", True, [])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html><title>Hotel</title></html>"),
        (404, b"<html>Not found</html>"),
        (404, b""),
        (302, b""),
        (200, b"[]"),
        (200, b'"text"'),
    ],
)
def test_an_answer_that_is_not_bitrix24_points_at_the_address(
    scripted: Scripted, waits: list[float], status: int, body: bytes
) -> None:
    client = scripted.says((status, body))
    message = str(refusal(lambda: client.call("user.get")))
    assert f"does not answer like Bitrix24 (HTTP {status}" in message
    assert "check the webhook address of connection 'main'" in message
    assert len(scripted.asked) == PASSING_TRIES
    assert len(waits) == PASSING_TRIES - 1


def test_an_unknown_method_points_at_the_address_and_the_scopes(
    portal: tuple[Portal, Bitrix24Client],
) -> None:
    error = refusal(lambda: portal[1].call("crm.nothing.list"))
    assert "crm.nothing.list (ERROR_METHOD_NOT_FOUND)" in str(error)
    assert "scopes" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_gateway_is_tried_five_times_and_told(
    scripted: Scripted, waits: list[float], status: int
) -> None:
    client = scripted.says((status, b"<html>Bad gateway</html>"))
    message = str(refusal(lambda: client.call("user.get")))
    assert str(status) in message
    assert len(scripted.asked) == 5
    assert len(waits) == 4


def test_an_answer_without_a_result_is_told(scripted: Scripted) -> None:
    client = scripted.says((200, {"time": TIME}))
    assert "user.get without a result" in str(refusal(lambda: client.call("user.get")))


def test_the_secret_is_not_logged_while_waiting(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    client = scripted.says(
        (503, documented_error("503.QUERY_LIMIT_EXCEEDED.json")), (200, {"result": 1})
    )
    with caplog.at_level(logging.DEBUG, logger="callfunnel"):
        client.call("user.get")
    assert "127.0.0.1 is busy or out of reach" in caplog.text
    own = [record for record in caplog.records if record.name.startswith("callfunnel")]
    assert SECRET not in "".join(record.getMessage() for record in own)


# Answers


def test_an_answer_has_the_portals_clock_total_and_next(scripted: Scripted) -> None:
    client = scripted.says((200, {"result": [1], "total": "7", "next": 50, "time": TIME}))
    answer = client.call("crm.deal.list", {"start": 0})
    assert (answer.result, answer.total, answer.next) == ([1], 7, 50)
    assert answer.server_now.isoformat() == TIME["date_finish"]
    assert scripted.asked == [(f"/rest/1/{SECRET}/crm.deal.list", {"start": 0})]


def test_pages_follow_next_to_the_end(portal: tuple[Portal, Bitrix24Client]) -> None:
    _, client = portal
    pages = list(client.pages("crm.deal.list", {"filter": {">ID": 5}}))
    assert [len(page.result) for page in pages] == [50, 50, 25]
    assert [page.next for page in pages] == [50, 100, None]
    assert [int(row["ID"]) for page in pages for row in page.result] == list(range(6, DEALS + 1))


def test_paging_in_a_circle_is_told(scripted: Scripted) -> None:
    client = scripted.says((200, {"result": [1], "next": 50}))
    error = refusal(lambda: list(client.pages("crm.deal.list", {})))
    assert "pages crm.deal.list in a circle (next=50)" in str(error)


# Batch


def test_a_batch_answers_every_command(portal: tuple[Portal, Bitrix24Client]) -> None:
    served, client = portal
    answers = client.batch({"deals": "crm.deal.list?start=50", "users": "user.get"})
    assert answers.keys() == {"deals", "users"}
    assert isinstance(answers["deals"], Answer)
    assert (len(answers["deals"].result), answers["deals"].total) == (50, DEALS)
    assert (answers["deals"].next, answers["users"].next) == (100, None)
    assert served.requests == 1


def test_an_error_inside_a_batch_names_the_method(
    portal: tuple[Portal, Bitrix24Client],
) -> None:
    served, client = portal
    served.scopes = ("crm",)
    error = refusal(lambda: client.batch({"a": "crm.deal.list", "b": "user.get?ID=1"}))
    assert "refused user.get (insufficient_scope)" in str(error)
    assert error.code == "insufficient_scope"


@pytest.mark.parametrize("file", ["batch.ok.2.json", "batch.ok.3.json"])
def test_a_documented_batch_of_errors_is_told(scripted: Scripted, file: str) -> None:
    body = json.loads((DATA / "bodies" / file).read_text(encoding="utf-8"))
    client = scripted.says((200, body))
    commands = {"get_user": "user.get", "get_department": "department.get"}
    assert "give it crm, user" in str(refusal(lambda: client.batch(commands)))


def test_a_documented_batch_is_read(scripted: Scripted) -> None:
    body = json.loads((DATA / "bodies" / "batch.json").read_text(encoding="utf-8"))
    client = scripted.says((200, body))
    answers = client.batch({"get_user": "user.current", "get_department": "department.get"})
    assert answers["get_user"].result["ID"] == "1"
    assert (answers["get_user"].total, answers["get_department"].total) == (None, 1)


def test_a_command_without_an_answer_is_told(scripted: Scripted) -> None:
    body = {"result": {"result": {"a": []}, "result_error": []}}
    client = scripted.says((200, body))
    error = refusal(lambda: client.batch({"a": "user.get", "b": "user.get"}))
    assert "left a command of a batch unanswered (b)" in str(error)


def test_a_batch_takes_50_commands(portal: tuple[Portal, Bitrix24Client]) -> None:
    _, client = portal
    commands = {f"c{number}": "user.get" for number in range(51)}
    with pytest.raises(ValueError, match="50 commands, got 51"):
        client.batch(commands)
    commands.popitem()
    assert len(client.batch(commands)) == 50


def test_a_task_that_is_gone_is_no_failure_of_the_server(
    scripted: Scripted, waits: list[float]
) -> None:
    told = "TASKS_ERROR_EXCEPTION_#4; Task not found or not accessible; 4/TE/ITEM_NOT_FOUND"
    errors = {"a": {"error": "ERROR_CORE", "error_description": told}}
    client = scripted.says((200, {"result": {"result": [], "result_error": errors}}))
    answer = client.batch_with_errors({"a": "tasks.task.history.list?taskId=5"})["a"]
    assert isinstance(answer, PortalError)
    assert (answer.code, waits) == ("not_found", [])


PARAMETERS: dict[str, Any] = {
    "crm.category.list": {"entityTypeId": 2},
    "crm.item.list": {"entityTypeId": 31},
    "crm.stagehistory.list": {"entityTypeId": 2},
    "crm.item.productrow.list": {"filter": {"=ownerType": "D", "=ownerId": [1]}},
    "crm.timeline.comment.list": {"filter": {"ENTITY_TYPE": "deal", "ENTITY_ID": 1}},
    "crm.activity.binding.list": {"activityId": 1},
    "tasks.task.history.list": {"taskId": 1},
}
FIELDS = [f"crm.{kind}.fields" for kind in ("lead", "deal", "contact", "company")]


def test_the_tables_name_the_methods_the_portal_knows(
    portal: tuple[Portal, Bitrix24Client],
) -> None:
    _, client = portal
    for table in tables.TABLES.values():
        for method in FIELDS if table.method == "crm.*.fields" else [table.method]:
            assert method in METHODS
            client.call(method, PARAMETERS.get(method))


# The request limit


def test_a_throttled_client_never_meets_the_limit_from_several_threads(
    portal: tuple[Portal, Bitrix24Client], waits: list[float]
) -> None:
    served, plain = portal
    # Faster than any portal, so that the test is short.
    served.bucket = LeakyBucket(drain_per_second=40, threshold=12)
    client = Bitrix24Client(
        f"{plain.portal_url}/rest/1/{SECRET}/", requests_per_second=40, burst=12
    )

    def ask() -> None:
        for _ in range(12):
            client.call("server.time")

    started = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Those that the bucket holds at once, the rest at 40 a second.
    assert time.monotonic() - started > 0.9
    assert (served.requests, client.requests_sent, client.limits_met, waits) == (48, 48, 0, [])


def test_a_client_without_throttle_meets_the_limit_and_waits(
    portal: tuple[Portal, Bitrix24Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, plain = portal
    client = Bitrix24Client(f"{plain.portal_url}/rest/1/{SECRET}/", requests_per_second=0)
    moment = [0.0]
    served.bucket = LeakyBucket(drain_per_second=2, threshold=12, now=lambda: moment[0])
    for _ in range(12):
        client.call("server.time")
    assert client.limits_met == 0

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=sleep))
    client.call("server.time")
    assert client.limits_met >= 1
    assert moment[0] > 0
