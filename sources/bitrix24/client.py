"""Calling Bitrix24's REST: authorisation, batches, limits, retries.

A client that meets a limit waits; one that can't go on raises; neither returns fewer rows. It
keeps below the portal's leaky bucket by itself and may be called from several threads.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import tenacity

from sources.bitrix24.errors import (
    ASK,
    LIMIT_CODES,
    METHOD_LIMIT_CODES,
    PASSING_CODES,
    TOKEN_CODES,
    PortalError,
    plain_code,
    portal_error,
)
from sources.bitrix24.oauth import OAuth
from sources.web import (
    give_up,
    is_safe_address,
    limiter,
    read_json,
    session_for,
    wait_for_turn,
    whole_body,
)

BATCH_SIZE = 50
REQUEST_SECONDS = 75
"""The cloud ends a request after 60 s (vendor's page limits)."""
PASSING_TRIES = 5
"""Tries for what may pass: lost connections, time-outs, broken answers, 5xx."""
REQUESTS_PER_SECOND = 2.0
BURST = 50
"""The bucket leaks 2 requests a second and holds 50 (vendor's page limits); on the Enterprise plan
5 and 250."""
SPARE = 2
"""Requests of the bucket that are left for the clocks' jitter."""
DECODING_THREADS = 2
"""Answers that are Python objects at the same time: 2,500 rows are 25 MB."""
PARALLEL_REQUESTS = 12
"""A batch of 50 commands takes 2 s, the bucket lets 80 in within 16 s: at least ten at once. Twelve
read 200,000 deals in 21 s, ten in 24 s; sixteen are no faster."""

_WEBHOOK = re.compile(r"^/rest/\d+/[^/]+/?$")

logger = logging.getLogger("callfunnel.bitrix24")
# At DEBUG the HTTP library logs every path, and with it the webhook's secret.
logging.getLogger("urllib3").setLevel(logging.INFO)


class MethodBlockedError(Exception):
    """The portal has stopped one method for using too much time; others may go on.

    Attributes:
        method: the blocked one.
        seconds: until the portal renews its account.
    """

    def __init__(self, method: str, seconds: float) -> None:
        super().__init__(method)
        self.method = method
        self.seconds = seconds


class _Busy(Exception):
    """The bucket is full: come back later."""


class _Passing(Exception):
    """No answer, or none that can be read; it may pass. The message is the sentence to tell.

    Attributes:
        is_connection_wide: every other method would fail alike.
        answer: what to go on with when it does not pass: a batch, some commands of which failed.
    """

    def __init__(
        self, message: str, *, is_connection_wide: bool = False, answer: Answer | None = None
    ) -> None:
        super().__init__(message)
        self.is_connection_wide = is_connection_wide
        self.answer = answer


class _TokenExpired(Exception):
    """The access token of an application has expired: refresh it once."""

    def __init__(self, token: str) -> None:
        super().__init__("expired")
        self.token = token


@dataclass(frozen=True)
class Answer:
    """One answer: its rows or value, the total where the method counts, the portal's clock."""

    result: Any
    total: int | None
    next: int | None
    server_now: dt.datetime


class Bitrix24Client:
    """A Bitrix24 portal behind an inbound webhook or an application's tokens.

    Args:
        access: `https://<portal>/rest/<user id>/<secret>/` (plain http only on loopback), or the
            authorisation of an OAuth application.
        connection: the connection's name, for messages.
        max_wait_seconds: how long one request may wait for a limit before giving up.
        requests_per_second: what the portal's bucket leaks; 0 where there is no limit.
        burst: what it holds.

    Raises:
        PortalError: the address has another form.
    """

    def __init__(
        self,
        access: str | OAuth,
        connection: str = "main",
        *,
        max_wait_seconds: float = 900.0,
        requests_per_second: float = REQUESTS_PER_SECOND,
        burst: int = BURST,
    ) -> None:
        self.connection = connection
        self.max_wait_seconds = max_wait_seconds
        self.requests_sent = 0
        self.limits_met = 0
        self._oauth = None if isinstance(access, str) else access
        address = access.strip() if isinstance(access, str) else access.endpoint()
        parts = _address(address, is_webhook=self._oauth is None)
        if parts is None or not parts.hostname:
            raise PortalError(
                f"The webhook address of connection '{connection}' has not the form "
                "https://<portal>/rest/<user id>/<secret>/: copy it whole from the portal "
                "(Developer resources → Inbound webhook)."
            )
        self.host = parts.hostname
        self.portal_url = f"{parts.scheme}://{parts.netloc}"
        self._base = f"{self.portal_url}{parts.path.rstrip('/')}/"
        self._local = threading.local()
        self._count = threading.Lock()
        self._turns = threading.Semaphore(DECODING_THREADS)
        self._throttle = (
            limiter(requests_per_second, burst - SPARE) if requests_per_second else None
        )

    def __repr__(self) -> str:
        return f"Bitrix24Client(host={self.host!r}, connection={self.connection!r})"

    def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Call one method, waiting for limits and retrying what may pass.

        Raises:
            PortalError: the portal refuses, is not there, or its limit outlasts the patience.
        """
        waited, last = 0.0, method
        while waited <= self.max_wait_seconds:
            try:
                return self.call_unless_blocked(method, parameters)
            except MethodBlockedError as blocked:
                last = blocked.method
                self.say_blocked(blocked)
                waited += blocked.seconds
                tenacity.nap.sleep(blocked.seconds)
        raise self.blocked_error(last)

    def call_unless_blocked(
        self, method: str, parameters: Mapping[str, Any] | None = None
    ) -> Answer:
        """Like `call`, but leaves the wait for a blocked method to the caller.

        Raises:
            MethodBlockedError: the portal has stopped the method, or one of a batch's.
            PortalError: as `call`.
        """
        given = dict(parameters or {})
        error: PortalError
        try:
            return self._retrying()(self._request, method, given)
        except _Busy:
            error = PortalError(
                self._busy_sentence(method, "QUERY_LIMIT_EXCEEDED"), "query_limit_exceeded"
            )
        except _Passing as passing:
            if passing.answer is not None:
                return passing.answer
            error = PortalError(str(passing), is_connection_wide=passing.is_connection_wide)
        # Raised outside of the handlers: the chained exceptions of the HTTP library print the
        # whole address, and with it the webhook's secret.
        raise error

    def batch(self, commands: Mapping[str, str]) -> dict[str, Answer]:
        """Run up to 50 commands in one request; the first that failed is raised.

        Args:
            commands: key to `method?percent-encoded query`.

        Returns:
            The answer of every command by its key.

        Raises:
            MethodBlockedError: the portal has stopped one of the methods.
            PortalError: a command failed; the message names it.
        """
        answers = {}
        for key, answer in self.batch_with_errors(commands).items():
            if isinstance(answer, PortalError):
                raise answer
            answers[key] = answer
        return answers

    def batch_with_errors(
        self, commands: Mapping[str, str], *, may_wait: bool = False
    ) -> dict[str, Answer | PortalError]:
        """Run up to 50 commands in one request; what failed stands in its place.

        Args:
            commands: key to `method?percent-encoded query`.
            may_wait: wait for a method that the portal has stopped, instead of raising.

        Raises:
            MethodBlockedError: the portal has stopped one of the methods.
            PortalError: the request as a whole failed.
        """
        if len(commands) > BATCH_SIZE:
            raise ValueError(f"a batch takes {BATCH_SIZE} commands, got {len(commands)}")
        call = self.call if may_wait else self.call_unless_blocked
        answer = call("batch", {"halt": 0, "cmd": dict(commands)})
        body = answer.result
        # PHP prints an empty map as a list.
        errors = _map(body.get("result_error"))
        results = _map(body.get("result"))
        totals = _map(body.get("result_total"))
        following = _map(body.get("result_next"))
        answers: dict[str, Answer | PortalError] = {}
        for key, command in commands.items():
            if key in errors:
                answers[key] = self._command_error(command, errors[key])
            elif key in results:
                answers[key] = Answer(
                    result=results[key],
                    total=_optional_int(totals.get(key)),
                    next=_optional_int(following.get(key)),
                    server_now=answer.server_now,
                )
            else:
                answers[key] = PortalError(
                    f"{self.host} left a command of a batch unanswered ({key}): {ASK}", "unanswered"
                )
        return answers

    @contextlib.contextmanager
    def one_of_few(self) -> Iterator[None]:
        """A block in which only a few threads hold a decoded answer; the others wait with bytes."""
        self._local.takes_turns = True
        try:
            yield
        finally:
            self._local.takes_turns = False
            self._end_turn()

    def pages(self, method: str, parameters: Mapping[str, Any], start: int = 0) -> Iterator[Answer]:
        """All pages by `next`: for the small lists that only know offsets."""
        while True:
            answer = self.call(method, {**parameters, "start": start})
            yield answer
            if answer.next is None:
                return
            if answer.next <= start:
                raise PortalError(
                    f"{self.host} pages {method} in a circle (next={answer.next}): {ASK}"
                )
            start = answer.next

    def blocked_error(self, method: str) -> PortalError:
        """What to say when a method stays blocked for longer than the patience."""
        return PortalError(
            self._busy_sentence(method, "OPERATION_TIME_LIMIT"), "operation_time_limit"
        )

    def say_blocked(self, blocked: MethodBlockedError) -> None:
        """Log that a method waits for its time to be renewed."""
        logger.info(
            "%s has stopped %s for using too much time, next try in %.0f s",
            self.host,
            blocked.method,
            blocked.seconds,
        )

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

    def _request(self, method: str, parameters: dict[str, Any]) -> Answer:
        try:
            return self._request_authorised(method, parameters)
        except BaseException:
            # What waits for its next try holds no answer.
            self._end_turn()
            raise

    def _request_authorised(self, method: str, parameters: dict[str, Any]) -> Answer:
        try:
            return self._request_once(method, parameters)
        except _TokenExpired as expired:
            failed = expired.token
        assert self._oauth is not None
        self._end_turn()
        self._oauth.refresh(failed)
        error: PortalError
        try:
            return self._request_once(method, parameters)
        except _TokenExpired:
            error = portal_error(self.host, self.connection, method, 401, "expired_token", "")
        raise error

    def _request_once(self, method: str, parameters: dict[str, Any]) -> Answer:
        problem = ""
        self._end_turn()
        self._stay_below_limit()
        base, token = self._base, ""
        if self._oauth is not None:
            token = self._oauth.access_token()
            base = self._oauth.endpoint().rstrip("/") + "/"
            parameters = {**parameters, "auth": token}
            self._local.token = token
        try:
            response = self._session().post(
                base + method,
                json=parameters,
                timeout=REQUEST_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            content = whole_body(response)
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted; check the address and this machine's CAs"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection"
        if problem:
            raise _Passing(
                f"{self.host} can't be reached ({problem}): check the network and the portal's "
                f"address in the secrets of connection '{self.connection}'.",
                is_connection_wide=True,
            )
        return self._read(method, parameters, response.status_code, content, token)

    def _read(
        self, method: str, parameters: Mapping[str, Any], status: int, content: bytes, token: str
    ) -> Answer:
        self._begin_turn()
        body = read_json(content)
        if not isinstance(body, dict):
            raise _Passing(
                f"{self.host} does not answer like Bitrix24 (HTTP {status}, no JSON): if the "
                "portal works in a browser, check the webhook address of connection "
                f"'{self.connection}'."
            )
        if "error" in body and "result" not in body:
            self._refuse(method, status, body, token)
        if "result" not in body:
            raise PortalError(f"{self.host} answered {method} without a result: {ASK}")
        answer = Answer(
            result=body["result"],
            total=_optional_int(body.get("total")),
            next=_optional_int(body.get("next")),
            server_now=_server_now(_map(body.get("time"))),
        )
        if method == "batch":
            self._check_commands(_map(parameters.get("cmd")), body, answer)
        return answer

    def _refuse(self, method: str, status: int, body: dict[str, Any], token: str) -> None:
        code = str(body["error"])
        description = self._masked(str(body.get("error_description", "")))
        known = plain_code(code, description)
        if known in LIMIT_CODES:
            self._meet_limit()
            raise _Busy(code)
        if known in METHOD_LIMIT_CODES:
            raise MethodBlockedError(method, _reset_in(_map(body.get("time"))))
        if token and known in TOKEN_CODES:
            raise _TokenExpired(token)
        error = portal_error(self.host, self.connection, method, status, code, description)
        is_passing = known in PASSING_CODES or (status >= 500 and not error.is_connection_wide)
        if is_passing and not error.is_refusal:
            raise _Passing(str(error))
        raise error

    def _check_commands(
        self, commands: Mapping[str, str], body: Mapping[str, Any], answer: Answer
    ) -> None:
        """Limits met by single commands of a batch, which answers HTTP 200 all the same."""
        result = _map(body["result"])
        stumbled = ""
        for key, error in _map(result.get("result_error")).items():
            told = _map(error)
            description = str(told.get("error_description", ""))
            code = plain_code(str(told.get("error", "")), description)
            if code in LIMIT_CODES:
                self._meet_limit()
                raise _Busy(code)
            if code in METHOD_LIMIT_CODES:
                of_command = _map(_map(result.get("result_time")).get(key))
                raise MethodBlockedError(
                    _method_of(commands.get(key, "a method of a batch")),
                    _reset_in({**_map(body.get("time")), **of_command, **told}),
                )
            if code in PASSING_CODES:
                stumbled = code
        if stumbled:
            # Tried again as a whole; what never passes stands in its command's place.
            raise _Passing(f"{self.host} failed inside a batch ({stumbled})", answer=answer)

    def _command_error(self, command: str, error: Any) -> PortalError:
        told = _map(error)
        return portal_error(
            self.host,
            self.connection,
            _method_of(command),
            200,
            str(told.get("error", "")),
            self._masked(str(told.get("error_description", ""))),
        )

    def _masked(self, description: str) -> str:
        """The portal's words without our secret: servers like to quote what they were sent."""
        secret = getattr(self._local, "token", "")
        if self._oauth is None:
            secret = self._base.rstrip("/").rpartition("/")[2]
        return description.replace(secret, "…") if secret else description

    def _begin_turn(self) -> None:
        if getattr(self._local, "takes_turns", False):
            self._turns.acquire()
            self._local.has_turn = True

    def _end_turn(self) -> None:
        if getattr(self._local, "has_turn", False):
            self._local.has_turn = False
            self._turns.release()

    def _stay_below_limit(self) -> None:
        with self._count:
            self.requests_sent += 1
        wait_for_turn(self._throttle)

    def _meet_limit(self) -> None:
        """Somebody else uses the bucket too: all threads slow down."""
        with self._count:
            self.limits_met += 1
        if self._throttle is not None:
            self._throttle.limit(cost=SPARE, timeout=-1)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = session_for(self.host)
            self._local.session = session
        return session

    def _busy_sentence(self, method: str, code: str) -> str:
        return (
            f"{self.host} kept refusing {method} ({code}) for longer than "
            f"{self.max_wait_seconds:.0f} s: run again later, or lower the load that other "
            "integrations put on the portal."
        )


def _address(address: str, *, is_webhook: bool) -> SplitResult | None:
    """The parts of an address; None where it has another form."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    has_form = bool(_WEBHOOK.match(parts.path)) if is_webhook else True
    # A user name before the host would go into the links to cards.
    return parts if is_safe_address(address) and has_form else None


def _method_of(command: str) -> str:
    return command.partition("?")[0]


def _reset_in(time: Mapping[str, Any]) -> float:
    """Seconds until the portal renews a method's account; half a minute where it is not told."""
    reset_at = time.get("operating_reset_at")
    if reset_at is None:
        return 30.0
    try:
        reset = float(reset_at)
    except (TypeError, ValueError):
        try:
            reset = dt.datetime.fromisoformat(str(reset_at)).timestamp()
        except ValueError:
            return 30.0
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


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _optional_int(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
