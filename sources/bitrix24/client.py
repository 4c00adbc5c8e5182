"""Calling Bitrix24's REST: authorisation by webhook, paging, limits, errors in words.

A client that meets a limit waits; one that can't go on raises; neither returns fewer rows.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import tenacity

from sources.errors import SourceError

PAGE_SIZE = 50
BATCH_SIZE = 50
REQUEST_SECONDS = 75
"""The cloud ends a request after 60 s (vendor's page limits)."""

_WEBHOOK = re.compile(r"^/rest/\d+/[^/]+/?$")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_WAIT_AND_RETRY = frozenset({"query_limit_exceeded", "operation_time_limit"})
_SERVER_ERRORS = frozenset({500, 502, 503, 504})

logger = logging.getLogger("callfunnel.bitrix24")
# At DEBUG the HTTP library logs every path, and with it the webhook's secret.
logging.getLogger("urllib3").setLevel(logging.INFO)


class PortalError(SourceError):
    """The portal answered with an error; the message names the remedy, never the secret."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class _Busy(Exception):
    """The portal asks to come back later."""

    def __init__(self, code: str, status: int, retry_after: float | None) -> None:
        super().__init__(code or str(status))
        self.code = code
        self.status = status
        self.retry_after = retry_after


class _Unreachable(Exception):
    """No answer at all."""


@dataclass(frozen=True)
class Answer:
    """One answer: its rows or value, the total where the method counts, the portal's clock."""

    result: Any
    total: int | None
    next: int | None
    server_now: dt.datetime


class Bitrix24Client:
    """A Bitrix24 portal behind an inbound webhook.

    Args:
        webhook_url: `https://<portal>/rest/<user id>/<secret>/`; plain http only on loopback.
        connection: the connection's name, for messages.
        max_wait_seconds: how long one request may wait for a limit before giving up.

    Raises:
        PortalError: the address has another form.
    """

    def __init__(
        self, webhook_url: str, connection: str = "main", *, max_wait_seconds: float = 900.0
    ) -> None:
        parts = _address(webhook_url.strip())
        if parts is None or not parts.hostname:
            raise PortalError(
                f"The webhook address of connection '{connection}' has not the form "
                "https://<portal>/rest/<user id>/<secret>/: copy it whole from the portal "
                "(Developer resources → Inbound webhook)."
            )
        self.host = parts.hostname
        self.portal_url = f"{parts.scheme}://{parts.netloc}"
        self.connection = connection
        self.max_wait_seconds = max_wait_seconds
        self.requests_sent = 0
        self._base = f"{self.portal_url}{parts.path.rstrip('/')}/"
        self._session = requests.Session()
        # A proxy of the environment is no way to this machine's own loopback.
        self._session.trust_env = self.host not in _LOOPBACK

    def __repr__(self) -> str:
        return f"Bitrix24Client(host={self.host!r}, connection={self.connection!r})"

    def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Call one method, waiting for limits and retrying lost connections.

        Raises:
            PortalError: the portal refuses, is not there, or its limit outlasts the patience.
        """
        failure: tuple[str, str]
        try:
            return self._retrying()(self._request, method, dict(parameters or {}))
        except _Busy as busy:
            failure = self._busy_sentence(method, busy), busy.code
        except _Unreachable as unreachable:
            failure = str(unreachable), ""
        # Raised outside of the handlers: the chained exceptions of the HTTP library print the
        # whole address, and with it the webhook's secret.
        raise PortalError(*failure)

    def batch(self, commands: Mapping[str, str]) -> dict[str, Answer]:
        """Run up to 50 commands (`method?percent-encoded query`) in one request.

        Returns:
            The answer of every command by its key.

        Raises:
            PortalError: a command failed; the message names it.
        """
        if len(commands) > BATCH_SIZE:
            raise ValueError(f"a batch takes {BATCH_SIZE} commands, got {len(commands)}")
        answer = self.call("batch", {"halt": 0, "cmd": dict(commands)})
        body = answer.result
        # PHP prints an empty map as a list.
        errors = body.get("result_error") or {}
        for key, error in errors.items():
            code = str(error.get("error", ""))
            method = commands[key].partition("?")[0]
            raise PortalError(
                self._sentence(method, 200, code, str(error.get("error_description", ""))), code
            )
        results = body.get("result") or {}
        missing = commands.keys() - results.keys()
        if missing:
            raise PortalError(
                f"{self.host} left {len(missing)} commands of a batch unanswered: {_ASK}"
            )
        totals = body.get("result_total") or {}
        following = body.get("result_next") or {}
        return {
            key: Answer(
                result=result,
                total=_optional_int(totals.get(key)),
                next=_optional_int(following.get(key)),
                server_now=answer.server_now,
            )
            for key, result in results.items()
        }

    def pages(self, method: str, parameters: Mapping[str, Any], start: int = 0) -> Iterator[Answer]:
        """All pages by `next`: for the small lists that only know offsets."""
        while True:
            answer = self.call(method, {**parameters, "start": start})
            yield answer
            if answer.next is None:
                return
            if answer.next <= start:
                raise PortalError(
                    f"{self.host} pages {method} in a circle (next={answer.next}): {_ASK}"
                )
            start = answer.next

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Busy, _Unreachable)),
            stop=_give_up(self.max_wait_seconds),
            wait=_wait,
            before_sleep=self._say_waiting,
            reraise=True,
        )

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        sleep = state.next_action.sleep if state.next_action else 0
        logger.info("%s is busy or out of reach, next try in %.0f s", self.host, sleep)

    def _request(self, method: str, parameters: dict[str, Any]) -> Answer:
        problem = ""
        self.requests_sent += 1
        try:
            response = self._session.post(
                self._base + method,
                json=parameters,
                timeout=REQUEST_SECONDS,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted; check the address and this machine's CAs"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection"
        if problem:
            raise _Unreachable(
                f"{self.host} can't be reached ({problem}): check the network and the portal's "
                f"address in the secrets of connection '{self.connection}'."
            )
        return self._read(method, response)

    def _read(self, method: str, response: requests.Response) -> Answer:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            if response.status_code in _SERVER_ERRORS:
                raise _Busy("", response.status_code, None)
            raise PortalError(
                f"{self.host} does not answer like Bitrix24 (HTTP {response.status_code}, no "
                f"JSON): check the webhook address of connection '{self.connection}'."
            )
        if "error" in body and "result" not in body:
            code = str(body["error"])
            if code.casefold() in _WAIT_AND_RETRY:
                raise _Busy(code, response.status_code, _reset_in(body))
            if response.status_code in _SERVER_ERRORS and code.casefold() in (
                "internal_server_error",
                "error_unexpected_answer",
            ):
                raise _Busy(code, response.status_code, None)
            description = str(body.get("error_description", ""))
            raise PortalError(self._sentence(method, response.status_code, code, description), code)
        if "result" not in body:
            raise PortalError(f"{self.host} answered {method} without a result: {_ASK}")
        if method == "batch":
            limit = _limit_in_batch(body["result"])
            if limit:
                raise _Busy(limit, response.status_code, _reset_in(body))
        time = body.get("time") or {}
        return Answer(
            result=body["result"],
            total=_optional_int(body.get("total")),
            next=_optional_int(body.get("next")),
            server_now=_server_now(time),
        )

    def _sentence(self, method: str, status: int, code: str, description: str) -> str:
        known = _REMEDIES.get(code.casefold())
        if known is None and description.casefold().startswith("access denied"):
            # Classic methods put no code beside it (vendor's page crm-contact-list).
            known = _REMEDIES["access_denied"]
        where = f"{self.host} refused {method}"
        if known:
            return f"{where} ({code or status}): {known.format(connection=self.connection)}"
        if status in (401, 403):
            remedy = _REMEDIES["invalid_credentials"].format(connection=self.connection)
            return f"{where} ({code or status}): {remedy}"
        said = (description or code or f"HTTP {status}").rstrip(".")
        return f"{where}: {said} (code {code or status}); {_ASK}"

    def _busy_sentence(self, method: str, busy: _Busy) -> str:
        return (
            f"{self.host} kept refusing {method} ({busy}) for longer than "
            f"{self.max_wait_seconds:.0f} s: run again later, or lower the load that other "
            "integrations put on the portal."
        )


_ASK = (
    "run again, and if it stays, show this line to the portal's administrator or report it to "
    "callfunnel's developers."
)
_REMEDIES: Mapping[str, str] = {
    "invalid_credentials": (
        "the webhook of connection '{connection}' is unknown, revoked or expired; make a new one "
        "in the portal and put its address into the secrets."
    ),
    "no_auth_found": (
        "the webhook of connection '{connection}' is unknown, revoked or expired; make a new one "
        "in the portal and put its address into the secrets."
    ),
    "expired_token": (
        "the webhook of connection '{connection}' has expired; make a new one in the portal and "
        "put its address into the secrets."
    ),
    "insufficient_scope": (
        "the webhook of connection '{connection}' lacks a scope; give it crm, user, department "
        "and telephony in the portal."
    ),
    "user_access_error": (
        "the user behind the webhook of connection '{connection}' has no access; make the webhook "
        "as an administrator."
    ),
    "access_denied": (
        "the portal's plan has no REST API, or the webhook's user of connection '{connection}' "
        "lacks a right (for calls: Call statistics, View); use a commercial plan and an "
        "administrator's webhook."
    ),
    "error_method_not_found": (
        "the portal does not know this method; check that the address of connection "
        "'{connection}' is a Bitrix24 webhook and that its scopes include crm, user, department "
        "and telephony."
    ),
    "overload_limit": (
        "the vendor has blocked the portal's REST API for overload; ask Bitrix24's support to "
        "lift it, then run again."
    ),
    "portal_deleted": (
        "the portal of connection '{connection}' was deleted; remove the connection from the "
        "company's rules or correct the address."
    ),
    "invalid_request": (
        "the portal wants https; correct the webhook address of connection '{connection}'."
    ),
}


def _address(webhook_url: str) -> SplitResult | None:
    """The parts of a webhook address; None where it has another form."""
    try:
        parts = urlsplit(webhook_url)
    except ValueError:
        return None
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    # A user name before the host would go into the links to cards.
    is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    return parts if is_secure and is_plain and _WEBHOOK.match(parts.path) else None


def _limit_in_batch(result: Any) -> str:
    """The code of the first command that met a limit; the batch is then run again, whole."""
    errors = result.get("result_error") if isinstance(result, Mapping) else None
    for error in errors.values() if isinstance(errors, Mapping) else ():
        code = str(error.get("error", ""))
        if code.casefold() in _WAIT_AND_RETRY:
            return code
    return ""


def _give_up(max_wait_seconds: float) -> Any:
    def stop(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Unreachable) or (isinstance(error, _Busy) and not error.code):
            return state.attempt_number >= 4
        return (state.seconds_since_start or 0.0) >= max_wait_seconds

    return stop


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Busy) and error.retry_after is not None:
        return error.retry_after
    backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=30.0, jitter=0.5)
    return backoff(state)


def _reset_in(body: Mapping[str, Any]) -> float | None:
    """Seconds until the method's time budget is renewed, on the portal's clock."""
    time = body.get("time") or {}
    reset_at = time.get("operating_reset_at")
    if reset_at is None:
        return None
    try:
        reset = float(reset_at)
    except (TypeError, ValueError):
        try:
            reset = dt.datetime.fromisoformat(str(reset_at)).timestamp()
        except ValueError:
            return None
    return min(max(1.0, reset - _server_now(time).timestamp()), 660.0)


def _server_now(time: Mapping[str, Any]) -> dt.datetime:
    """The portal's clock with the portal's offset; this machine's where the answer has none."""
    for name in ("date_finish", "date_start"):
        try:
            instant = dt.datetime.fromisoformat(str(time.get(name)))
        except ValueError:
            continue
        if instant.tzinfo is not None:
            return instant
    return dt.datetime.now(dt.UTC)


def _optional_int(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
