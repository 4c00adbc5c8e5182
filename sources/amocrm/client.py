"""Calling the API of amoCRM and Kommo: authorisation, pages, limits, retries.

A client that meets a limit waits; one that can't go on raises; neither returns fewer rows. It
keeps below the 7 requests a second of an integration by itself (vendor's page limitations) and may
be called from several threads.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import tenacity

from sources.amocrm.errors import (
    ASK,
    AmoError,
    amo_error,
    blocked_error,
    fifty_rows_error,
    limit_error,
)
from sources.amocrm.links import cut_links, holds_links
from sources.packing import PackedRows, PageForm
from sources.web import (
    HostSession,
    give_up,
    is_safe_address,
    listed,
    php_query,
    read_json,
    session_for,
    whole_body,
)

REQUESTS_PER_SECOND = 7.0
"""Of one integration; more brings 429, and many of these a block of the whole API (403)."""
SPARE_SECONDS = 0.01
"""What we wait beyond a second, for clocks that differ."""
REQUEST_SECONDS = 75
PASSING_TRIES = 5
"""Tries for what may pass: lost connections, time-outs, broken answers, 5xx."""
FALLBACK_ROWS = 50
"""What a page holds when the server takes the asked length for too long; it doesn't say so."""
LIMITS: Mapping[str, int] = {
    "leads": 250,
    "contacts": 250,
    "companies": 250,
    "tasks": 250,
    "notes": 250,
    "users": 250,
    "unsorted": 250,
    "tags": 250,
    "catalogs": 250,
    "elements": 250,
    "loss_reasons": 250,
    "custom_fields": 50,
    "events": 100,
}
"""The longest page of each list, by the last word of its path. The vendor's pages disagree on
custom_fields (50, 250) and events (100, 250): the shorter one is right in either case."""

_LINKED: Mapping[str, Any] = {"_links": {}}
"""Of the document of a page."""

logger = logging.getLogger("callfunnel.amocrm")
# At DEBUG the HTTP library logs every address.
logging.getLogger("urllib3").setLevel(logging.INFO)


class Access(Protocol):
    """What a client needs to know of an account: where it is, and by which token."""

    def endpoint(self) -> str:
        """The base of the account, e.g. `https://example.amocrm.ru/`."""

    def access_token(self) -> str:
        """The token that requests carry."""

    def refresh(self, failed_token: str) -> str:
        """Another token in place of one that was refused; the same where there is none."""


class LongLivedToken:
    """An account behind a long-lived token of a private integration.

    Args:
        account_url: `https://<subdomain>.amocrm.ru` (plain http only on loopback).
        token: made in the integration's card; it is never refreshed.
    """

    def __init__(self, account_url: str, token: str) -> None:
        self._account_url = account_url.strip()
        self._token = token.strip()

    def __repr__(self) -> str:
        return f"LongLivedToken({urlsplit(self._account_url).hostname!r})"

    def endpoint(self) -> str:
        """The base of the account."""
        return self._account_url.rstrip("/") + "/"

    def access_token(self) -> str:
        """The token itself."""
        return self._token

    def refresh(self, failed_token: str) -> str:
        """The token itself: nothing can be done about a refused one."""
        return self._token


class _Busy(Exception):
    """The rate limit is met: come back later."""


class _Passing(Exception):
    """No answer, or none that can be read; it may pass. The message is the sentence to tell."""

    def __init__(self, message: str, *, is_connection_wide: bool = False) -> None:
        super().__init__(message)
        self.is_connection_wide = is_connection_wide


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        body: the document; empty where the server had nothing to say (204).
        rows: the list in it.
        has_next: whether a page follows; where it is found is not taken from the answer, since
            its links may leave out parameters.
        server_now: the server's clock.
        holds_links: whether the rows may still hold links.
        packed: the rows as columns, in place of `rows`.
    """

    body: Mapping[str, Any]
    rows: list[Any]
    has_next: bool
    server_now: dt.datetime
    holds_links: bool = True
    packed: PackedRows | None = None

    @property
    def total(self) -> int | None:
        """The server's own count, which few lists have."""
        found = self.body.get("_total_items")
        return found if isinstance(found, int) else None


class _Places:
    """As many places as requests may be made within a second, each free a second after its answer.

    The server counts a request at some time between its start and its answer, however late it
    arrives there: all that it has counted within the last second still hold their places. With
    starts that are merely spaced by 1.11 sevenths of a second, a machine under load met the limit.
    """

    def __init__(self, requests_per_second: float) -> None:
        count = max(1, int(requests_per_second))
        self._seconds = count / requests_per_second + SPARE_SECONDS
        self._free_at: queue.PriorityQueue[float] = queue.PriorityQueue()
        for _ in range(count):
            self._free_at.put(0.0)

    def __enter__(self) -> None:
        pause = self._free_at.get() - time.monotonic()
        if pause > 0:
            time.sleep(pause)

    def __exit__(self, *_: object) -> None:
        self._free_at.put(time.monotonic() + self._seconds)


class AmoClient:
    """An amoCRM or Kommo account.

    Args:
        access: where it is, and its tokens.
        connection: the connection's name, for messages.
        requests_per_second: what the account lets in; 0 where there is no limit.
        max_wait_seconds: how long one request may wait for the limit before giving up.

    Raises:
        AmoError: the account's address is not a safe one.
    """

    def __init__(
        self,
        access: Access,
        connection: str = "main",
        *,
        requests_per_second: float = REQUESTS_PER_SECOND,
        max_wait_seconds: float = 900.0,
    ) -> None:
        self.connection = connection
        self.max_wait_seconds = max_wait_seconds
        self.requests_sent = 0
        self.limits_met = 0
        self.short_pages = 0
        """Answers of 50 rows to requests for more."""
        self._access = access
        endpoint = access.endpoint()
        if not is_safe_address(endpoint):
            raise AmoError(
                f"The account_url of connection '{connection}' has not the form "
                "https://<subdomain>.amocrm.ru (or .amocrm.com, .kommo.com): correct it in the "
                "secrets.",
                is_connection_wide=True,
            )
        parts = urlsplit(endpoint)
        self.host = parts.hostname or ""
        self.portal_url = f"{parts.scheme}://{parts.netloc}"
        self._local = threading.local()
        self._guard = threading.Lock()
        self._blocked = False
        self._paused_until = 0.0
        self._places = _Places(requests_per_second) if requests_per_second else None

    def __repr__(self) -> str:
        return f"AmoClient(host={self.host!r}, connection={self.connection!r})"

    def get(
        self,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        form: PageForm | None = None,
    ) -> Answer:
        """Ask for one document or one page, waiting for limits and retrying what may pass.

        Args:
            path: below `/api/v4/`, e.g. `leads/pipelines`.
            parameters: nested ones are printed with PHP's brackets.
            form: that of a page; if it has this form, its rows come packed.

        Raises:
            AmoError: the account refuses, is not there, or its limit outlasts the patience; a
                page is shorter than asked for.
            ValueError: a page of more rows than the list allows was asked for.
        """
        given = dict(parameters or {})
        _check_limit(path, given.get("limit"))
        error: AmoError
        try:
            return self._retrying()(self._request, path, given, form)
        except _Busy:
            error = limit_error(self.host, path, self.max_wait_seconds)
        except _Passing as passing:
            error = AmoError(str(passing), is_connection_wide=passing.is_connection_wide)
        # Raised outside of the handlers: the chained exceptions of the HTTP library hold the
        # request, and with it the token.
        raise error

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Busy, _Passing)),
            stop=give_up(self.max_wait_seconds, _Passing, PASSING_TRIES),
            wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=30.0, jitter=0.5),
            before_sleep=self._say_waiting,
            reraise=True,
        )

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        sleep = state.next_action.sleep if state.next_action else 0
        logger.info("%s is busy or out of reach, next try in %.0f s", self.host, sleep)

    def _request(self, path: str, parameters: Mapping[str, Any], form: PageForm | None) -> Answer:
        token = self._access.access_token()
        response, content = self._send(path, parameters, token)
        if response.status_code == requests.codes.unauthorized:
            renewed = self._access.refresh(token)
            if renewed != token:
                token = renewed
                response, content = self._send(path, parameters, token)
        return self._read(path, parameters, response, content, token, form)

    def _send(
        self, path: str, parameters: Mapping[str, Any], token: str
    ) -> tuple[requests.Response, bytes]:
        self._wait_for_turn(path)
        problem = ""
        query = php_query(parameters)
        address = f"{self._access.endpoint().rstrip('/')}/api/v4/{path}"
        try:
            with self._places or contextlib.nullcontext():
                # Redirects are not followed: the token is for this host alone.
                response = self._session().fetch(
                    f"{address}?{query}" if query else address,
                    {"Authorization": f"Bearer {token}"},
                    REQUEST_SECONDS,
                )
                content = whole_body(response)
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted; check the address and this machine's CAs"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection, or lost before the answer"
        if problem:
            raise _Passing(
                f"{self.host} can't be reached ({problem}): check the network and account_url in "
                f"the secrets of connection '{self.connection}'.",
                is_connection_wide=True,
            )
        return response, content

    def _read(
        self,
        path: str,
        parameters: Mapping[str, Any],
        response: requests.Response,
        content: bytes,
        token: str,
        form: PageForm | None,
    ) -> Answer:
        status, at = response.status_code, _server_now(response)
        if status == requests.codes.no_content:
            return Answer({}, [], has_next=False, server_now=at)
        text = cut_links(content)
        if form is not None and status == requests.codes.ok and not holds_links(text, _LINKED):
            packed = form.read(text, at)
            if packed is not None:
                self._check_length(path, parameters, len(packed), has_next=packed.has_next)
                return Answer({}, [], packed.has_next, at, holds_links=False, packed=packed)
        body = read_json(text)
        if status == requests.codes.forbidden and not isinstance(body, dict):
            # Every further request makes it worse.
            self._blocked = True
            raise blocked_error(self.host, self.connection)
        if status == requests.codes.too_many_requests:
            self._meet_limit(response, body)
            raise _Busy(path)
        if 300 <= status < 400:
            raise AmoError(
                f"{self.host} sends its visitors elsewhere ({status}): put the account's present "
                f"address into account_url of connection '{self.connection}'.",
                str(status),
                is_connection_wide=True,
            )
        if status >= 500 or (status < 400 and not isinstance(body, dict)):
            raise _Passing(
                f"{self.host} does not answer {path} as amoCRM does (HTTP {status}): if the "
                "account works in a browser, run again later; if it stays, check account_url of "
                f"connection '{self.connection}'."
            )
        if status >= 400:
            raise amo_error(self.host, self.connection, path, status, _masked(body, token))
        rows = _rows(path, body)
        if rows is None and "limit" in parameters:
            raise AmoError(f"{self.host} answered {path} without its list: {ASK}")
        rows = rows or []
        has_next = "next" in (_map(body.get("_links")))
        self._check_length(path, parameters, len(rows), has_next=has_next)
        if form is not None:
            form.learn(rows)
        return Answer(body, rows, has_next, at, holds_links(text, body))

    def _check_length(
        self, path: str, parameters: Mapping[str, Any], rows: int, *, has_next: bool
    ) -> None:
        asked = int(parameters.get("limit", 0))
        if asked > FALLBACK_ROWS == rows and has_next:
            with self._guard:
                self.short_pages += 1
            raise fifty_rows_error(self.host, path, asked)

    def _wait_for_turn(self, path: str) -> None:
        if self._blocked:
            raise blocked_error(self.host, self.connection)
        with self._guard:
            self.requests_sent += 1
            pause = self._paused_until - time.monotonic()
        if pause > self.max_wait_seconds:
            raise limit_error(self.host, path, self.max_wait_seconds)
        if pause > 0:
            tenacity.nap.sleep(pause)

    def _meet_limit(self, response: requests.Response, body: Any) -> None:
        """Somebody else uses the account too: all threads pause as long as the server says."""
        told: Any = response.headers.get("Retry-After") or _map(body).get("retry_after")
        try:
            seconds = float(told)
        except (TypeError, ValueError):
            seconds = 1.0
        with self._guard:
            self.limits_met += 1
            self._paused_until = max(self._paused_until, time.monotonic() + max(0.0, seconds))

    def _session(self) -> HostSession:
        session: HostSession | None = getattr(self._local, "session", None)
        if session is None:
            session = session_for(self.host)
            self._local.session = session
        return session


def maximum(path: str) -> int:
    """The longest page of a list."""
    return LIMITS[path.rpartition("/")[2]]


def _check_limit(path: str, limit: Any) -> None:
    if limit is not None and int(limit) > LIMITS.get(path.rpartition("/")[2], FALLBACK_ROWS):
        raise ValueError(f"a page of {path} holds {maximum(path)} rows, asked for {limit}")


def _rows(path: str, body: Mapping[str, Any]) -> list[Any] | None:
    """The list that `_embedded` holds under the last word of the path; None without one."""
    embedded, name = body.get("_embedded"), path.rpartition("/")[2]
    if isinstance(embedded, Mapping):
        return listed(embedded, name) if name in embedded else None
    # PHP prints an empty map as a list.
    return [] if embedded == [] else None


def _masked(body: Any, token: str) -> Mapping[str, Any]:
    """What was said without our token: servers like to quote what they were sent."""
    if not token:
        return _map(body)
    return {
        name: value.replace(token, "…") if isinstance(value, str) else value
        for name, value in _map(body).items()
    }


def _server_now(response: requests.Response) -> dt.datetime:
    """The server's clock, to the second; this machine's where the answer has none."""
    try:
        at = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError):
        return dt.datetime.now(dt.UTC)
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
