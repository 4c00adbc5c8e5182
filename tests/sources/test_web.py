"""What every client of a web API needs."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from sources.web import limiter, session_for, wait_for_turn


def test_a_turn_is_waited_for_no_longer_than_the_limit_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    sleep = time.sleep

    def sleeping(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleeping)
    throttle = limiter(20, 1)
    for _ in range(3):
        wait_for_turn(throttle)
    assert 0.04 < sum(slept) <= 0.1
    wait_for_turn(None)


class Noted(HTTPAdapter):
    """Notes what it is to send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[Any, ...]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append((request.method, request.url, dict(request.headers), options))
        response = requests.Response()
        response.status_code, response.raw = 200, io.BytesIO(b"")
        response.request, response.url = request, str(request.url)
        return response


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1"])
def test_a_page_is_fetched_as_the_library_gets_it(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    session, noted = session_for(host), Noted()
    session.mount("https://", noted)
    headers = {"Authorization": "Bearer t0p"}
    urls = [f"https://{host}/api/v4/leads{query}" for query in ("?a%5B0%5D=%D1%8F&b=", "?b=2", "")]
    for url in urls:
        session.fetch(url, headers, 75.0)
    for url in urls:
        session.get(url, headers=headers, timeout=75.0, stream=True, allow_redirects=False)
    assert noted.sent[:3] == noted.sent[3:]
    assert [url for _, url, _, _ in noted.sent[:3]] == urls
    assert noted.sent[0][3]["verify"] == "/ca.pem"
