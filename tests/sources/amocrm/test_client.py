"""The amoCRM client: waits or says what to do, never returns less, never tells the token."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from sources.amocrm.client import (
    FALLBACK_ROWS,
    LIMITS,
    PASSING_TRIES,
    AmoClient,
    LongLivedToken,
)
from sources.amocrm.errors import AmoError
from sources.amocrm.tables import LEADS
from sources.packing import PageForm

ERRORS = Path(__file__).parents[2] / "data" / "amocrm" / "errors"
TOKEN = "t0psecrettoken"
DATE = "Mon, 02 Mar 2026 12:00:00 GMT"


def page(count: int, *, has_next: bool = False, name: str = "leads") -> dict[str, Any]:
    links = {"next": {"href": "https://elsewhere.example/?page=9"}} if has_next else {}
    rows = [{"id": n} for n in range(count)]
    return {"_page": 1, "_links": {"self": {}, **links}, "_embedded": {name: rows}}


def told(name: str) -> tuple[int, Any]:
    file = next(ERRORS.glob(f"{name}.*"))
    return int(name[:3]), file.read_bytes()


@dataclass
class Scripted:
    """A web server that answers what it is told, the last answer for ever."""

    address: str
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def says(self, *answers: tuple[int, Any], access: Any = None, **options: Any) -> AmoClient:
        self.answers = list(answers)
        options = {"requests_per_second": 0, **options}
        return AmoClient(access or LongLivedToken(self.address, TOKEN), "shop", **options)


@pytest.fixture
def server() -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scripted.asked.append((self.path, self.headers["Authorization"]))
            status, body = scripted.answers[0]
            if len(scripted.answers) > 1:
                scripted.answers.pop(0)
            if status == 0:
                self.close_connection = True
                return
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            self.send_header("Date", DATE)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if status != 204:
                self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    scripted = Scripted(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield scripted
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds the client wanted to sleep; it does not."""
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    return slept


# Pages


def test_a_page_is_asked_for_with_phps_brackets(server: Scripted) -> None:
    client = server.says((200, page(2, has_next=True)))
    answer = client.get(
        "leads",
        {"filter": {"id": [5, 6], "updated_at": {"from": 1}}, "order": {"id": "asc"}, "limit": 2},
    )
    ((asked, authorised),) = server.asked
    assert urlsplit(asked).path == "/api/v4/leads"
    assert parse_qsl(urlsplit(asked).query) == [
        ("filter[id][0]", "5"),
        ("filter[id][1]", "6"),
        ("filter[updated_at][from]", "1"),
        ("order[id]", "asc"),
        ("limit", "2"),
    ]
    assert "[" not in asked
    assert authorised == f"Bearer {TOKEN}"
    assert [row["id"] for row in answer.rows] == [0, 1]
    assert answer.has_next
    assert answer.server_now == dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def leads(count: int, embedded: Any = None, *, has_next: bool = False) -> tuple[int, Any]:
    rows = [
        {"id": n, "status_id": 142, "pipeline_id": 7, "created_at": 5, "_embedded": embedded or {}}
        for n in range(1, count + 1)
    ]
    answer = page(0, has_next=has_next)
    answer["_embedded"]["leads"] = rows
    return 200, answer


def test_a_page_of_the_lists_form_comes_packed(server: Scripted) -> None:
    client, form = server.says(leads(1), leads(3, has_next=True)), PageForm(LEADS, "leads", {})
    first = client.get("leads", {"limit": 250}, form)
    assert first.packed is None
    assert [row["id"] for row in first.rows] == [1]
    second = client.get("leads", {"limit": 250}, form)
    assert second.packed is not None
    assert list(second.packed.ids) == [1, 2, 3]
    assert (second.rows, second.has_next) == ([], True)
    assert second.server_now == second.packed.received_at == first.server_now


@pytest.mark.parametrize(
    "answer",
    [
        leads(1, {"contacts": [{"id": 2, "_links": {"self": {}, "next": {}}}]}),
        (200, json.dumps(leads(1)[1]).replace('"id"', '"_li\\u006eks": 1, "id"').encode()),
        leads(0),
        (200, {"_links": {}, "_embedded": {"leads": [{"id": "1"}]}}),
    ],
)
def test_a_page_of_another_form_comes_as_rows(server: Scripted, answer: tuple[int, Any]) -> None:
    client, form = server.says(leads(1), answer), PageForm(LEADS, "leads", {})
    client.get("leads", {"limit": 250}, form)
    found = client.get("leads", {"limit": 250}, form)
    expected = answer[1] if isinstance(answer[1], dict) else json.loads(answer[1])
    assert (found.packed, found.rows) == (None, expected["_embedded"]["leads"])


def test_a_broken_page_of_the_lists_form_is_asked_for_again(
    server: Scripted, waits: list[float]
) -> None:
    broken = json.dumps(leads(2)[1]).encode()[:-1]
    client, form = server.says(leads(1), (200, broken), leads(2)), PageForm(LEADS, "leads", {})
    client.get("leads", {"limit": 250}, form)
    found = client.get("leads", {"limit": 250}, form)
    assert found.packed is not None
    assert len(found.packed) == 2
    assert len(waits) == 1


def test_fifty_rows_in_place_of_more_are_told_of_packed_ones_too(server: Scripted) -> None:
    client, form = server.says(leads(1), leads(50, has_next=True)), PageForm(LEADS, "leads", {})
    client.get("leads", {"limit": 250}, form)
    with pytest.raises(AmoError, match="50"):
        client.get("leads", {"limit": 250}, form)
    assert client.short_pages == 1


def test_an_answer_without_content_has_no_rows(server: Scripted) -> None:
    answer = server.says((204, b"")).get("leads", {"limit": 250})
    assert (answer.rows, answer.has_next) == ([], False)
    assert answer.server_now == dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("embedded", "rows"),
    [
        ([], []),
        ({"leads": []}, []),
        ({"leads": {}}, []),
        ({"leads": {"1": {"id": 4}}}, [{"id": 4}]),
    ],
)
def test_phps_ways_to_print_a_list_are_read(server: Scripted, embedded: Any, rows: Any) -> None:
    client = server.says((200, {"_embedded": embedded}))
    assert client.get("leads", {"limit": 250}).rows == rows


@pytest.mark.parametrize("body", [{}, {"_embedded": {"contacts": []}}, {"_embedded": None}])
def test_a_page_without_its_list_is_no_empty_page(server: Scripted, body: Any) -> None:
    with pytest.raises(AmoError, match="without its list"):
        server.says((200, body)).get("leads", {"limit": 250})


@pytest.mark.parametrize("path", ["leads", "events", "leads/notes", "leads/custom_fields"])
def test_a_page_longer_than_allowed_is_never_asked_for(server: Scripted, path: str) -> None:
    client = server.says((200, page(1, name=path.rpartition("/")[2])))
    most = LIMITS[path.rpartition("/")[2]]
    with pytest.raises(ValueError, match=f"holds {most} rows"):
        client.get(path, {"limit": most + 1})
    assert server.asked == []
    assert len(client.get(path, {"limit": most}).rows) == 1


def test_a_server_that_falls_back_to_50_rows_is_found_out(server: Scripted) -> None:
    client = server.says((200, page(FALLBACK_ROWS, has_next=True)))
    with pytest.raises(AmoError, match="pages of 50 rows though 250 were asked for"):
        client.get("leads", {"limit": 250})
    assert client.short_pages == 1
    # Fifty that were asked for, and fifty that are all there are, are none of it.
    assert len(client.get("leads", {"limit": 50}).rows) == 50
    assert len(server.says((200, page(50))).get("leads", {"limit": 250}).rows) == 50


# Refusals


@pytest.mark.parametrize("name", ["400.validation", "401", "402", "403.scope", "404", "405", "422"])
def test_a_refusal_is_told_at_once(server: Scripted, waits: list[float], name: str) -> None:
    with pytest.raises(AmoError, match=f"refused leads \\({name[:3]}"):
        server.says(told(name)).get("leads")
    assert len(server.asked) == 1
    assert waits == []


def test_a_block_stops_the_whole_connection_at_once(server: Scripted, waits: list[float]) -> None:
    client = server.says(told("403.blocked"), (200, page(1)))
    for path in ("leads", "contacts"):
        with pytest.raises(AmoError, match="write to the vendor's support") as refused:
            client.get(path)
        assert refused.value.is_connection_wide
    assert len(server.asked) == 1
    assert waits == []


def test_a_servers_words_are_told_without_our_token(server: Scripted) -> None:
    client = server.says((400, {"detail": f"Bad token {TOKEN} given"}))
    with pytest.raises(AmoError) as refused:
        client.get("leads")
    assert "Bad token … given" in str(refused.value)
    assert TOKEN not in "".join(traceback.format_exception(refused.value))
    assert TOKEN not in repr(client)
    assert TOKEN not in repr(LongLivedToken(server.address, TOKEN))


def test_a_redirect_is_not_followed(server: Scripted) -> None:
    server.headers["Location"] = "https://elsewhere.example/"
    with pytest.raises(AmoError, match="present address into account_url"):
        server.says((301, b"")).get("leads")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "address",
    ["http://shop.amocrm.ru", "https://user@shop.amocrm.ru", "shop.amocrm.ru", "https://a.b/?x=1"],
)
def test_an_unsafe_address_gets_no_token(address: str) -> None:
    with pytest.raises(AmoError, match="account_url of connection 'main' has not the form"):
        AmoClient(LongLivedToken(address, TOKEN))


# What may pass


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (504, b"<html>"),
        told("500"),
        (200, b'{"_embedded": {"le'),
        (200, b"<html>"),
        (0, b""),
    ],
    ids=["500", "504", "500-json", "half", "html", "reset"],
)
def test_what_may_pass_is_tried_again_so_many_times(
    server: Scripted, waits: list[float], answer: tuple[int, Any]
) -> None:
    client = server.says(answer, answer, (200, page(1)))
    assert len(client.get("leads").rows) == 1
    assert len(waits) == 2
    waits.clear()
    server.asked.clear()
    with pytest.raises(AmoError):
        server.says(answer).get("leads")
    assert len(server.asked) == PASSING_TRIES


def test_a_time_out_may_pass(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    client = server.says((200, page(1)))
    fetch = client._session().fetch
    slow = iter([1e-9, 5.0])
    monkeypatch.setattr(
        client._session(), "fetch", lambda url, headers, _: fetch(url, headers, next(slow))
    )
    assert len(client.get("leads").rows) == 1


# Limits


def test_a_met_limit_is_waited_for_as_long_as_the_server_says(
    server: Scripted, waits: list[float]
) -> None:
    client = server.says(told("429"), (200, page(1)))
    assert len(client.get("leads").rows) == 1
    assert client.limits_met == 1
    assert max(waits) == pytest.approx(300, abs=5)


def test_retry_after_counts_and_garbage_in_it_does_not_matter(
    server: Scripted, waits: list[float]
) -> None:
    for said, seconds in (("7", 7), ("soon", 1)):
        waits.clear()
        server.headers["Retry-After"] = said
        assert server.says((429, b"busy"), (200, page(1))).get("leads").rows
        assert sum(waits) >= seconds - 0.5


def test_a_limit_that_outlasts_the_patience_is_told(server: Scripted) -> None:
    with pytest.raises(AmoError, match="kept refusing leads \\(429\\) for longer than 60 s"):
        server.says(told("429"), max_wait_seconds=60).get("leads")
    assert len(server.asked) == 1


def test_no_second_holds_more_requests_however_late_each_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = AmoClient(LongLivedToken("http://127.0.0.1:1/", TOKEN), requests_per_second=20)
    counted: list[float] = []
    chance = random.Random(7)

    class Session:
        def fetch(self, *_: Any) -> requests.Response:
            time.sleep(chance.choice((0, 0, 0.2)))
            counted.append(time.monotonic())
            time.sleep(chance.choice((0, 0.1)))
            response = requests.Response()
            response.status_code, response.raw = 204, io.BytesIO()
            return response

    monkeypatch.setattr(client, "_session", Session)
    threads = [
        threading.Thread(target=lambda: [client.get("leads") for _ in range(14)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.sort()
    assert len(counted) == 56
    assert all(counted[n + 20] - counted[n] > 1.0 for n in range(36))


def test_all_threads_together_stay_below_seven_a_second(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time", time)
    client = server.says((200, page(1)), requests_per_second=7)
    sent: list[float] = []
    real = client._read

    def read(*arguments: Any) -> Any:
        sent.append(time.monotonic())
        return real(*arguments)

    monkeypatch.setattr(client, "_read", read)
    threads = [
        threading.Thread(target=lambda: [client.get("leads") for _ in range(4)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 16
    assert sent[-1] - sent[0] > 2.0
    sent.sort()
    assert all(sent[n + 8] - sent[n] > 1.0 for n in range(len(sent) - 8))


# Tokens


@dataclass
class Rotating:
    """An application's tokens; every refresh brings another."""

    endpoint: Callable[[], str]
    tokens: list[str]
    refreshed: list[str] = field(default_factory=list)

    def access_token(self) -> str:
        return self.tokens[0]

    def refresh(self, failed_token: str) -> str:
        self.refreshed.append(failed_token)
        if len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


def test_an_expired_token_is_refreshed_once(server: Scripted) -> None:
    access = Rotating(lambda: server.address, ["old", "new"])
    client = server.says(told("401"), (200, page(1)), access=access)
    assert len(client.get("leads").rows) == 1
    assert [token for _, token in server.asked] == ["Bearer old", "Bearer new"]
    assert access.refreshed == ["old"]


def test_a_fresh_token_that_is_refused_too_ends_the_load(server: Scripted) -> None:
    access = Rotating(lambda: server.address, ["old", "new", "newer"])
    client = server.says(told("401"), access=access)
    with pytest.raises(AmoError, match="is unknown, expired or revoked") as refused:
        client.get("leads")
    assert refused.value.is_connection_wide
    assert access.refreshed == ["old"]
    assert len(server.asked) == 2


def test_a_moved_account_is_asked_at_its_new_address(server: Scripted) -> None:
    addresses = iter(["http://127.0.0.1:9", "http://127.0.0.1:9"])
    access = Rotating(lambda: next(addresses, server.address), ["token"])
    client = server.says((200, page(1)), access=access)
    assert len(client.get("leads").rows) == 1
