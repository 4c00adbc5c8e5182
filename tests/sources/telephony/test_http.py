"""What all clients share: CSV that is whole or refused, keys of rows, answers that redirect."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sources.errors import RemoteError
from sources.telephony.http import Answer, HttpClient, Passing, Provider, row_key, rows_of_cells
from tests.support.telephony import access_to

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
PROVIDER = Provider("The provider", ("key",), "it stands in the account")


def cells(text: str, delimiter: str = ",") -> list[list[str]]:
    return Answer(200, text.encode(), NOW).cells(delimiter)


def test_lines_without_a_header_are_named_by_the_order_that_was_asked_for() -> None:
    assert list(rows_of_cells(cells("1,in\r\n2,out\r\n"), ("uid", "type"))) == [
        {"uid": "1", "type": "in"},
        {"uid": "2", "type": "out"},
    ]


def test_cells_beyond_the_known_ones_are_kept() -> None:
    assert list(rows_of_cells(cells("1,in,5,x\n"), ("uid", "type"))) == [
        {"uid": "1", "type": "in", "cell_3": "5", "cell_4": "x"}
    ]


def test_an_empty_cell_is_nothing() -> None:
    assert list(rows_of_cells(cells("1,,\n"), ("uid", "type"))) == [
        {"uid": "1", "type": None, "cell_3": None}
    ]


def test_a_header_names_the_cells_that_it_adds() -> None:
    assert list(rows_of_cells(cells("UID,type,grade\n1,in,5\n"), ("uid", "type"))) == [
        {"uid": "1", "type": "in", "grade": "5"}
    ]


@pytest.mark.parametrize("text", ["1,in\n2", "1\n2,in\n", '1,in\n2,"ou'])
def test_a_line_that_is_cut_makes_the_answer_worthless(text: str) -> None:
    with pytest.raises(Passing):
        list(rows_of_cells(cells(text), ("uid", "type")))


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><p>Sign in", b"\xff\xfe\x00"])
def test_what_is_no_csv_is_found_out(content: bytes) -> None:
    with pytest.raises(Passing, match="no CSV"):
        Answer(200, content, NOW).cells(",")


def test_a_quoted_cell_may_hold_the_delimiter() -> None:
    assert cells('a;"b;c";d\n', ";") == [["a", "b;c", "d"]]


def test_a_key_of_a_leg_tells_nothing_from_something() -> None:
    assert row_key({"a": 1, "b": None, "c": "x"}, ("a", "b", "c")) == "1//x"


class Scripted:
    """A web server that says one thing."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"{}", {}
        self.asked = 0


@pytest.fixture
def server() -> Iterator[tuple[Scripted, HttpClient]]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scripted.asked += 1
            self.send_response_only(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(scripted.body)))
            self.end_headers()
            self.wfile.write(scripted.body)

        def log_message(self, *_: Any) -> None:
            pass

    scripted = Scripted()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    secrets = {"key": "s3cret", "base_url": f"http://127.0.0.1:{http.server_port}/"}
    yield scripted, HttpClient(PROVIDER, access_to("mango", secrets))
    http.shutdown()
    http.server_close()


def checked(client: HttpClient) -> Any:
    def read(answer: Answer) -> Any:
        client.check(answer, answer.content.decode())
        return client.document(answer)

    return client.ask("/calls", read)


def test_a_redirect_is_not_followed(server: tuple[Scripted, HttpClient]) -> None:
    scripted, client = server
    scripted.status, scripted.headers = 302, {"Location": "https://elsewhere.example/"}
    with pytest.raises(RemoteError, match=r"sends its visitors elsewhere \(302\)"):
        checked(client)
    assert scripted.asked == 1


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, "refused to list the calls"),
        (401, "check key under"),
        (402, "pay for it"),
        (403, "may read the call statistics from this address"),
        (422, "refused to list the calls"),
    ],
)
def test_a_refusal_is_told_at_once_in_the_providers_words_without_the_key(
    server: tuple[Scripted, HttpClient], waits: list[float], status: int, remedy: str
) -> None:
    scripted, client = server
    scripted.status, scripted.body = status, b"key s3cret is no good"
    with pytest.raises(RemoteError, match=remedy) as refused:
        checked(client)
    assert "key … is no good" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert (scripted.asked, waits) == (1, [])


def test_an_address_without_statistics_is_told(server: tuple[Scripted, HttpClient]) -> None:
    scripted, client = server
    scripted.status = 404
    with pytest.raises(RemoteError, match="check base_url in the secrets of connection 'main'"):
        checked(client)


def test_a_limit_longer_than_the_patience_is_told_at_once(
    server: tuple[Scripted, HttpClient], waits: list[float]
) -> None:
    scripted, client = server
    scripted.status, scripted.headers = 429, {"Retry-After": "86400"}
    with pytest.raises(RemoteError, match="run again later"):
        checked(client)
    assert (scripted.asked, waits) == (1, [])


def test_garbage_in_retry_after_does_not_matter(
    server: tuple[Scripted, HttpClient], waits: list[float]
) -> None:
    scripted, client = server
    scripted.status, scripted.headers = 429, {"Retry-After": "soon"}
    with pytest.raises(RemoteError, match="kept connection"):
        checked(client)
    assert scripted.asked == len(waits) + 1 > 10
    assert max(waits) <= 31


def test_only_remote_providers_are_asked_slowly() -> None:
    slow = Provider("Slow", ("key",), "", "https://api.example", requests_per_minute=3)
    assert HttpClient(slow, access_to("mango", {"key": "k"}))._limiter is not None
    local = {"key": "k", "base_url": "http://127.0.0.1:1"}
    assert HttpClient(slow, access_to("mango", local))._limiter is None


def test_a_client_tells_its_host_and_no_key() -> None:
    client = HttpClient(PROVIDER, access_to("mango", {"key": "k3y", "base_url": "https://a.b/c"}))
    assert repr(client) == "HttpClient(host='a.b', connection='main')"
