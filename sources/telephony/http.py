"""What every provider with a web API needs: secrets, sessions, limits, retries, CSV, clocks.

A client that meets a limit waits; one that can't go on raises; neither returns fewer rows. What an
answer means is the provider's: it is read inside of the retries, so that one that is cut or is a
page of HTML is asked for again.
"""

from __future__ import annotations

import csv
import datetime as dt
import email.utils
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import tenacity

from sources.errors import RemoteError, SourceError
from sources.telephony.reading import PbxAccess
from sources.web import (
    LOOPBACK,
    give_up,
    is_safe_address,
    limiter,
    read_json,
    session_for,
    wait_for_turn,
    whole_body,
)

REQUEST_SECONDS = 75
PASSING_TRIES = 5
"""Tries for what may pass: lost connections, time-outs, broken answers, 5xx."""
WAITING_TRIES = 60
MAX_WAIT_SECONDS = 900.0
"""How long one request may wait for a limit, or for an answer that is being made."""
LONGEST_PAUSE_SECONDS = 30.0

ASK = (
    "run again, and if it stays, ask the provider's support or report it to callfunnel's "
    "developers."
)

logger = logging.getLogger("callfunnel.telephony")
# At DEBUG the HTTP library logs every address, and some carry a token.
logging.getLogger("urllib3").setLevel(logging.INFO)

_T = TypeVar("_T")


class Passing(Exception):
    """No answer, or none that can be read; it may pass. The message says what was wrong."""


class Waiting(Exception):
    """Come back later: a limit is met, or the answer is being made.

    Args:
        why: for people.
        seconds: what the provider says; None: growing pauses.
    """

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(frozen=True)
class Provider:
    """A provider, as errors name it.

    Attributes:
        title: its name.
        keys: the secrets that it needs.
        where: where people find them.
        base_url: the documented address; empty where every account has its own.
        path: of all requests, where there is one; people copy addresses with it.
        requests_per_minute: what it admits; 0: nothing is known.
    """

    title: str
    keys: tuple[str, ...]
    where: str
    base_url: str = ""
    path: str = ""
    requests_per_minute: float = 0


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: of HTTP; 5xx, 429 and redirects never come here.
        content: the body.
        at: the provider's clock, in the zone of the times that it prints; this machine's where
            the answer has none.
    """

    status: int
    content: bytes
    at: dt.datetime

    def cells(self, delimiter: str) -> list[list[str]]:
        """The lines of CSV.

        Raises:
            Passing: it is none.
        """
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = ""
        if (not text and self.content) or text.lstrip().startswith("<"):
            raise Passing(f"a body that is no CSV (HTTP {self.status})")
        problem = ""
        try:
            lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
            return [line for line in lines if any(cell.strip() for cell in line)]
        except csv.Error as error:
            problem = str(error)
        raise Passing(f"CSV that can't be read ({problem})")


class HttpClient:
    """Requests to one account of a provider.

    Args:
        provider: who.
        access: the connection, its secrets and zone.

    Raises:
        SourceError: a secret is missing, or base_url is no safe address.
    """

    def __init__(self, provider: Provider, access: PbxAccess) -> None:
        self.provider = provider
        self.connection = access.connection
        self.zone = access.zone
        self.requests_sent = 0
        self.limits_met = 0
        self._section = access.secrets.section
        self.keys = _secrets(provider, access)
        self.base_url = _base_url(provider, access).rstrip("/").removesuffix(provider.path)
        self.host = urlsplit(self.base_url).hostname or ""
        self._session = session_for(self.host)
        per_minute = provider.requests_per_minute
        # A stand-in on this machine tells its limits itself.
        is_limited = per_minute and self.host not in LOOPBACK
        self._limiter = limiter(per_minute / 60, 1) if is_limited else None

    def __repr__(self) -> str:
        return f"HttpClient(host={self.host!r}, connection={self.connection!r})"

    def ask(
        self,
        path: str,
        read: Callable[[Answer], _T],
        *,
        verb: str = "GET",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> _T:
        """Ask, waiting for limits and trying again what may pass.

        Args:
            path: below the base address.
            read: makes of an answer what is wanted; raises `Passing` or `Waiting` to be given
                another one, `RemoteError` where the provider refuses.
            verb: of HTTP.
            headers: of the request.
            params: of the address.
            data: a form.
            json: a body.

        Raises:
            RemoteError: the provider refuses, is not there, or its limit outlasts the patience.
        """

        def once() -> _T:
            sent = {"headers": headers, "params": params, "data": data, "json": json}
            return read(self._request(verb, path, sent))

        error: RemoteError
        try:
            return self._retrying()(once)
        except Waiting as waiting:
            error = RemoteError(
                f"{self.host} kept connection '{self.connection}' waiting ({waiting}): run again "
                "later, or lower the load that other integrations put on the account.",
                "429",
                is_connection_wide=True,
            )
        except Passing as passing:
            error = RemoteError(
                f"{self.host} does not answer {path.partition('?')[0]} as {self.provider.title} "
                f"does ({passing}): check the network, and base_url in the secrets of connection "
                f"'{self.connection}' if it is set; if both are right, run again later.",
                is_connection_wide=True,
            )
        # Raised outside of the handlers: the chained exceptions of the HTTP library hold the
        # request, and with it the keys.
        raise error

    def document(self, answer: Answer) -> Any:
        """The JSON of an answer, of a refusal too.

        Raises:
            Passing: it is none: cut, or a page of HTML.
            RemoteError: the provider refuses without saying why.
        """
        found = read_json(answer.content)
        if found is None:
            self.check(answer)
            raise Passing(f"a body that is no JSON (HTTP {answer.status})")
        return found

    def check(self, answer: Answer, said: Any = "") -> None:
        """Raise what an answer of 4xx means.

        Args:
            answer: any.
            said: the provider's words, where it has told some.

        Raises:
            RemoteError: it refuses.
        """
        if answer.status < 400:
            return
        told = self.masked(said)
        if answer.status in (401, 403):
            raise self.rejected(told or str(answer.status))
        if answer.status == 402:
            raise self.unpaid(told or "402")
        if answer.status == 404:
            raise RemoteError(
                f"{self.host} has no call statistics where {self.provider.title} has them (404): "
                f"check base_url in the secrets of connection '{self.connection}'.",
                "404",
                is_connection_wide=True,
            )
        raise self.refused(f"{answer.status}{', ' if told else ''}{told}")

    def rejected(self, said: str) -> RemoteError:
        """The keys are unknown, revoked, or lack the right."""
        return RemoteError(
            f"{self.host} refused the access of connection '{self.connection}' ({said}): check "
            f"{' and '.join(self.provider.keys)} under {self._section} in .dlt/secrets.toml, and "
            f"that they may read the call statistics from this address; {self.provider.where}.",
            "access",
            is_connection_wide=True,
        )

    def unpaid(self, said: str) -> RemoteError:
        """The account has no money, or not this service."""
        return RemoteError(
            f"{self.host} serves the account of connection '{self.connection}' no more ({said}): "
            f"pay for it at {self.provider.title}, or take the connection out of the company's "
            "rules.",
            "402",
            is_connection_wide=True,
        )

    def refused(self, said: str, *, is_refusal: bool = False) -> RemoteError:
        """Any other refusal, in the provider's words."""
        return RemoteError(
            f"{self.host} refused to list the calls of connection '{self.connection}' ({said}): "
            f"{ASK}",
            "refused",
            is_refusal=is_refusal,
        )

    def masked(self, said: Any) -> str:
        """What was said without our keys: servers like to quote what they were sent."""
        words = " ".join(str(said or "").split())[:300]
        for key in self.keys.values():
            words = words.replace(key, "…")
        return words.rstrip(".")

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def _request(self, verb: str, path: str, sent: Mapping[str, Any]) -> Answer:
        wait_for_turn(self._limiter)
        self.requests_sent += 1
        problem = ""
        try:
            response = self._session.request(
                verb,
                f"{self.base_url}{path}",
                timeout=REQUEST_SECONDS,
                allow_redirects=False,
                stream=True,
                **sent,
            )
            content = whole_body(response)
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection, or lost before the end of the answer"
        if problem:
            raise Passing(problem)
        status = response.status_code
        if status == requests.codes.too_many_requests:
            self.limits_met += 1
            raise Waiting("its limit of requests is met, 429", _retry_after(response))
        if status >= 500:
            raise Passing(f"HTTP {status}")
        if 300 <= status < 400:
            raise RemoteError(
                f"{self.host} sends its visitors elsewhere ({status}): put the present address "
                f"into base_url of connection '{self.connection}'.",
                str(status),
                is_connection_wide=True,
            )
        return Answer(status, content, _clock(response, self.zone))

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((Passing, Waiting)),
            stop=_stop(give_up(MAX_WAIT_SECONDS, Passing, PASSING_TRIES)),
            wait=_pause,
            before_sleep=self._say_waiting,
            reraise=True,
        )

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        sleep = state.next_action.sleep if state.next_action else 0
        error = state.outcome.exception() if state.outcome else None
        logger.info("%s: %s, next try in %.0f s", self.host, error, sleep)


def rows_of_cells(
    lines: Sequence[Sequence[str]], fields: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Lines of CSV without a header as rows; one with a header tells its own fields.

    Args:
        lines: as `Answer.cells` gives them.
        fields: in the order of the cells; cells beyond them are `cell_<number>`. Empty cells are
            None.

    Raises:
        Passing: a line has fewer cells: the answer is cut.
    """
    names = list(fields)
    for number, line in enumerate(lines):
        if number == 0 and [cell.strip().lower() for cell in line[: len(fields)]] == names:
            names = [cell.strip().lower() for cell in line]
            continue
        if len(line) < len(fields):
            raise Passing(f"a line of {len(line)} cells in place of {len(fields)}, as if cut")
        more = (f"cell_{number}" for number in range(len(names) + 1, len(line) + 1))
        yield {name: cell or None for name, cell in zip((*names, *more), line, strict=False)}


def row_key(row: Mapping[str, Any], fields: Sequence[str]) -> str:
    """A key from what a leg says about itself, for providers whose ids name calls, not legs."""
    return "/".join("" if row.get(field) is None else str(row[field]) for field in fields)


def _secrets(provider: Provider, access: PbxAccess) -> dict[str, str]:
    found = {name: access.secrets.get(name) for name in provider.keys}
    missing = [name for name, value in found.items() if not value]
    if missing:
        variables = " and ".join(access.secrets.variable(name) for name in missing)
        raise SourceError(
            f"Connection '{access.connection}' of {provider.title} has no "
            f"{' and no '.join(missing)}: put {'it' if len(missing) == 1 else 'them'} under "
            f"{access.secrets.section} in .dlt/secrets.toml (see .dlt/secrets.toml.example) or "
            f"set {variables}; {provider.where}."
        )
    return found


def _base_url(provider: Provider, access: PbxAccess) -> str:
    base_url = access.secrets.get("base_url") or provider.base_url
    if not is_safe_address(base_url):
        raise SourceError(
            f"Connection '{access.connection}' of {provider.title} has no base_url of the form "
            f"{provider.base_url or 'https://<name of the account>'}: put it under "
            f"{access.secrets.section} in .dlt/secrets.toml or set "
            f"{access.secrets.variable('base_url')}. Plain http is only for this machine itself."
        )
    return base_url


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Waiting) and error.seconds is not None:
        return error.seconds
    growing = tenacity.wait_exponential_jitter(
        multiplier=0.5, max=LONGEST_PAUSE_SECONDS, jitter=0.5
    )
    return float(growing(state))


def _stop(
    gives_up: Callable[[tenacity.RetryCallState], bool],
) -> Callable[[tenacity.RetryCallState], bool]:
    """Also when the provider says to come back after nobody waits any more."""

    def stop(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_too_long = isinstance(error, Waiting) and (error.seconds or 0) > MAX_WAIT_SECONDS
        return gives_up(state) or is_too_long or state.attempt_number >= WAITING_TRIES

    return stop


def _retry_after(response: requests.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def _clock(response: requests.Response, zone: dt.tzinfo) -> dt.datetime:
    try:
        at = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError):
        return dt.datetime.now(zone)
    return (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).astimezone(zone)
