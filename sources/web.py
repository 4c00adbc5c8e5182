"""What every client of a web API needs: safe addresses, sessions, a limiter, PHP's forms."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests
import tenacity
from throttled import MemoryStore, Throttled, rate_limiter

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_BODY_BYTES = 1 << 20


def is_safe_address(url: str) -> bool:
    """Whether secrets may be sent there: https, or http on loopback; no user name, no query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    return bool(host) and is_secure and is_plain


class HostSession(requests.Session):
    """A session for requests to one host, by one thread; see `session_for`."""

    def __init__(self) -> None:
        super().__init__()
        self._ways: dict[str, tuple[requests.PreparedRequest, Mapping[str, Any]]] = {}

    def fetch(self, url: str, headers: Mapping[str, str], timeout: float) -> requests.Response:
        """GET, following no redirect; the body is not read yet, see `whole_body`.

        `get` asks the environment for proxies and certificates, and prepares address, cookies and
        authorisation, for every request: for a page of 300 KB 0.7 ms, the rest takes 0.4.

        Args:
            url: percent-encoded; what stands before "?" is prepared once.
            headers: of this request.
            timeout: seconds without a byte.

        Raises:
            requests.RequestException: no answer.
        """
        address, mark, query = url.partition("?")
        if address not in self._ways:
            prepared = self.prepare_request(requests.Request("GET", address))
            assert prepared.url is not None
            found = self.merge_environment_settings(prepared.url, {}, True, None, None)
            self._ways[address] = prepared, found
        way, settings = self._ways[address]
        request = requests.PreparedRequest()
        request.method, request.url = way.method, f"{way.url}{mark}{query}"
        request.headers = way.headers.copy()
        request.headers.update(headers)
        return self.get_adapter(address).send(request, timeout=timeout, **settings)


def session_for(host: str) -> HostSession:
    """A session for requests to one host."""
    session = HostSession()
    # A proxy of the environment is no way to this machine's own loopback.
    session.trust_env = host not in LOOPBACK
    # A portal over TLS on loopback has a throw-away CA; without trust_env it is not seen.
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    return session


def whole_body(response: requests.Response) -> bytes:
    """The body of an answer that was asked for with `stream`, and the connection given back.

    In one piece: the 10 KB at a time of the library's own reading cost 3 ms for a page of 300 KB,
    as much as parsing it.

    Raises:
        requests.RequestException: the connection was lost before the end.
    """
    with response:
        return b"".join(response.iter_content(_BODY_BYTES))


def limiter(requests_per_second: float, burst: int) -> Throttled:
    """Lets so many requests pass in a second, and `burst` at once."""
    # Per minute, since the library counts whole requests.
    per_minute = max(1, int(requests_per_second * 60))
    return Throttled(
        key="portal",
        using="gcra",
        quota=rate_limiter.per_min(per_minute, burst=max(1, burst)),
        store=MemoryStore(),
    )


def wait_for_turn(throttle: Throttled | None) -> None:
    """Wait until the limiter lets one more request pass."""
    # The library's own waiting takes 0.2 s at least: of 6.3 requests a second 4.9 would be left.
    while throttle is not None and (turn := throttle.limit()).limited:
        time.sleep(turn.state.retry_after)


def give_up(
    max_wait_seconds: float, passing: type[Exception], passing_tries: int
) -> Callable[[tenacity.RetryCallState], bool]:
    """When one request gives up; waits for a limit use up no try for what may pass.

    Args:
        max_wait_seconds: the patience with limits.
        passing: what may pass: lost connections, time-outs, broken answers.
        passing_tries: how often that is tried.
    """
    tries = 0

    def stop(state: tenacity.RetryCallState) -> bool:
        nonlocal tries
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, passing):
            tries += 1
            return tries >= passing_tries
        return (state.seconds_since_start or 0.0) >= max_wait_seconds

    return stop


def read_json(content: bytes) -> Any:
    """The document; None where it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # Half a surrogate pair, which orjson refuses, becomes one row of the quarantine later.
        try:
            return json.loads(content)
        except ValueError:
            return None


def listed(result: Any, envelope: str | None = None) -> list[Any]:
    """The list in an answer, bare or in an envelope, also another than documented.

    PHP prints a list with a gap as a map from places to rows, and an empty one either way.
    """
    if not isinstance(result, Mapping):
        return list(result or [])
    found = result.get(envelope) if envelope else result
    if isinstance(found, Mapping) and found and all(str(place).isdigit() for place in found):
        return list(found.values())
    if isinstance(found, list):
        return found
    return next((value for value in result.values() if isinstance(value, list)), [])


def php_parameters(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested parameters as PHP reads them: `filter[id][0]`, `order[id]`."""
    for name, value in parameters.items():
        full = f"{prefix}[{name}]" if prefix else str(name)
        if isinstance(value, Mapping):
            yield from php_parameters(value, full)
        elif isinstance(value, list | tuple):
            yield from php_parameters({str(place): item for place, item in enumerate(value)}, full)
        else:
            yield full, "" if value is None else str(value)


def php_query(parameters: Mapping[str, Any]) -> str:
    """Nested parameters as the query of an address, percent-encoded."""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in php_parameters(parameters)
    )
