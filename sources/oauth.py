"""Authorisation by access tokens that expire and refresh tokens that may be used once.

The same for every system: a refresh only after the system has refused a token, never by the
clock; each answer brings another refresh token, which is on disk before it is used. What differs
(the request, the codes of the errors, where the account's address stands) is the subclass's.
"""

from __future__ import annotations

import datetime as dt
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import requests
import tenacity

from sources.errors import SourceError
from sources.tokens import (
    AUTHORISE_ANEW,
    LockedTokens,
    RefreshMark,
    Stored,
    Tokens,
    TokenStore,
    fingerprint,
)
from sources.web import LOOPBACK, is_safe_address

logger = logging.getLogger("callfunnel.oauth")
# At DEBUG the HTTP library logs every address, and with it the tokens and the client's secret.
logging.getLogger("urllib3").setLevel(logging.INFO)


class Unanswered(Exception):
    """The token server gave no answer that says whether the refresh took place."""


class RotatingOAuth(ABC):
    """The authorisation of one account's application; safe to share between threads.

    Nothing is kept in memory: each call reads the store, so that a token another process has
    just received is used here too.

    Args:
        client_id: the application's key.
        client_secret: the application's secret.
        store: where the connection's tokens stand.
        seed_refresh_token: a refresh token from the secrets. One that the store has not seen wins
            over the stored tokens.
        connection: the connection's name, for messages.
        attempts: how often a server that does not answer is asked.
    """

    product: ClassVar[str]
    address_setting: ClassVar[str]
    """Where the secrets name the token server."""
    lifetime_seconds: ClassVar[int]
    """Where an answer does not say how long its access token lives."""
    remedies: ClassVar[Mapping[str, str]]
    """What to do about each code; a code that is not in it is quoted in the server's words."""
    seed_remedy: ClassVar[str]
    """What to do about a refresh token of the secrets that is refused (invalid_grant)."""
    code_remedy: ClassVar[str]
    """What to do about an authorisation code that is refused (invalid_grant)."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        store: TokenStore,
        seed_refresh_token: str | None,
        connection: str,
        attempts: int,
    ) -> None:
        self.connection = connection
        self._client_id = client_id
        self._client_secret = client_secret
        self._store = store
        self._seed = seed_refresh_token or None
        self._attempts = attempts

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(connection={self.connection!r}, token_host={self._token_host!r})"

    @property
    @abstractmethod
    def _token_host(self) -> str:
        """The host that is asked for tokens."""

    @abstractmethod
    def _send(self, session: requests.Session, grant: Mapping[str, str]) -> requests.Response:
        """Ask the token server once."""

    @abstractmethod
    def _code(self, body: Mapping[str, Any]) -> str:
        """The code of an answer that is an error, in the words of `remedies`."""

    @abstractmethod
    def _said(self, body: Mapping[str, Any]) -> str:
        """The server's own words for an error."""

    @abstractmethod
    def _endpoint_in(self, body: Mapping[str, Any], before: Tokens | None) -> str:
        """The base address of the API that goes with new tokens."""

    @abstractmethod
    def _unsafe_endpoint(self) -> str:
        """The sentence for an address of the API that no secret may be sent to."""

    def _account_in(self, body: Mapping[str, Any], before: Tokens | None) -> str:
        """The account's own key, where the system has one."""
        return before.account_id if before else ""

    def _is_refusal(self, body: Mapping[str, Any]) -> bool:
        # Tokens in the answer count whatever stands beside them: the one sent is used up.
        return "error" in body and not body.get("refresh_token")

    def endpoint(self) -> str:
        """The base of the account's API.

        It changes when the account moves to another domain: ask anew after each `refresh`.

        Raises:
            SourceError: as `access_token`.
        """
        return self._endpoint_of(self._current())

    def access_token(self) -> str:
        """The token requests carry, as stored; the first one is fetched with the seed.

        It may have expired: when the system says so, call `refresh`.

        Raises:
            SourceError: nobody has authorised the application, or the token server refuses or is
                not there; the message names the remedy.
        """
        return self._current().access_token

    def refresh(self, failed_token: str) -> str:
        """Another access token in place of one the system has refused as expired.

        Several threads and processes may ask at once: the first refreshes, the others receive
        what it received.

        Args:
            failed_token: the token that was refused, so that one refreshed meanwhile is seen.

        Raises:
            SourceError: as `access_token`.
        """
        with self._store.locked() as held:
            tokens = held.stored.tokens
            if (
                tokens is not None
                and tokens.access_token != failed_token
                and self._is_settled(held.stored, tokens)
            ):
                return tokens.access_token
            return self._refreshed(held).access_token

    def authorise(self, code: str) -> str:
        """Exchange an authorisation code, which is good for one use, for the first tokens.

        Returns:
            The base of the account's API.

        Raises:
            SourceError: the code is too old, the account is another one than before, or the token
                server refuses or is not there.
        """
        with self._store.locked() as held:
            body, _ = self._ask({"grant_type": "authorization_code", "code": code})
            if self._is_refusal(body):
                remedies = {**self.remedies, "invalid_grant": self.code_remedy}
                raise SourceError(self._refusal(body, secret=code, remedies=remedies))
            before = held.stored.tokens
            seed_fingerprint = before.seed_fingerprint if before else ""
            if self._seed is not None:
                # Else the seed, by now the older one of the two, would win over these tokens.
                seed_fingerprint = fingerprint(self._seed)
            tokens = self._tokens(body, before, seed_fingerprint)
            if _is_other_account(before, tokens.account_id):
                raise SourceError(self._other_account(before, tokens.account_id))
            held.save(tokens)
        return self._endpoint_of(tokens)

    def _current(self) -> Tokens:
        stored = self._store.read()
        if stored.tokens is not None and self._is_settled(stored, stored.tokens):
            return stored.tokens
        with self._store.locked() as held:
            tokens = held.stored.tokens
            if tokens is not None and self._is_settled(held.stored, tokens):
                return tokens
            return self._refreshed(held)

    def _is_settled(self, stored: Stored, tokens: Tokens) -> bool:
        """Whether the stored access token may be used before anything is asked."""
        if self._has_new_seed(tokens) or not is_safe_address(tokens.endpoint):
            return False
        # A refresh of these tokens was begun and never ended: they are expired, and the next
        # refresh token may be lost. Better known before the load begins.
        mark = stored.mark
        return mark is None or mark.grant_fingerprint != fingerprint(tokens.refresh_token)

    def _has_new_seed(self, tokens: Tokens | None) -> bool:
        if self._seed is None:
            return False
        return tokens is None or tokens.seed_fingerprint != fingerprint(self._seed)

    def _refreshed(self, held: LockedTokens) -> Tokens:
        """New tokens, saved before they are returned."""
        before = held.stored.tokens
        if self._seed is not None and self._has_new_seed(before):
            grant, seed_fingerprint = self._seed, fingerprint(self._seed)
        elif before is not None:
            grant, seed_fingerprint = before.refresh_token, before.seed_fingerprint
        else:
            raise SourceError(
                f"The {self.product} application of connection '{self.connection}' is not "
                f"authorised yet: {AUTHORISE_ANEW}."
            )
        earlier = held.begin_refresh(grant)
        if earlier is not None and earlier.answered_by:
            raise SourceError(self._other_account(before, earlier.answered_by))
        body, was_repeated = self._ask({"grant_type": "refresh_token", "refresh_token": grant})
        if self._is_refusal(body):
            is_lost = was_repeated or earlier is not None
            mark = held.stored.mark if is_lost else None
            if not is_lost:
                held.end_refresh()
            remedies = self._seed_remedies(before) if grant == self._seed else self.remedies
            raise SourceError(self._refusal(body, secret=grant, remedies=remedies, mark=mark))
        tokens = self._tokens(body, before, seed_fingerprint)
        if _is_other_account(before, tokens.account_id):
            held.refuse_refresh(tokens.account_id)
            raise SourceError(self._other_account(before, tokens.account_id))
        held.save(tokens)
        logger.info("Connection '%s': the access token was refreshed", self.connection)
        # After saving: an address that can't be used must not cost the new refresh token.
        self._endpoint_of(tokens)
        return tokens

    def _ask(self, grant: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
        """The token server's answer, and whether an attempt before it got none."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unanswered),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=20.0, jitter=0.5),
            before_sleep=self._say_waiting,
            reraise=True,
        )
        problem = ""
        try:
            body = retrying(self._request, grant)
        except Unanswered as unanswered:
            problem = str(unanswered)
        if problem:
            raise SourceError(
                f"{self.product}'s token server {self._token_host} gave connection "
                f"'{self.connection}' no answer ({problem}): check the network, then run again; "
                "the authorisation is tried once more with the same refresh token."
            )
        return body, int(retrying.statistics["attempt_number"]) > 1

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        sleep = state.next_action.sleep if state.next_action else 0
        logger.info("%s is busy or out of reach, next try in %.1f s", self._token_host, sleep)

    def _request(self, grant: Mapping[str, str]) -> dict[str, Any]:
        problem, response, body = "", None, None
        try:
            with requests.Session() as session:
                # A proxy of the environment is no way to this machine's own loopback.
                session.trust_env = self._token_host not in LOOPBACK
                response = self._send(session, grant)
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection, or lost before the answer"
        # Raised outside of the handlers: the HTTP library's errors hold the address and thus the
        # secrets, the JSON library's hold the answer and thus the tokens.
        if response is None:
            raise Unanswered(problem)
        try:
            body = response.json()
        except ValueError:
            problem = "no JSON"
        status = response.status_code
        is_known_refusal = isinstance(body, dict) and self._code(body) in self.remedies
        if not is_known_refusal and (status >= 500 or status == 429):
            raise Unanswered(f"HTTP {status}")
        if not isinstance(body, dict):
            raise SourceError(
                f"{self._token_host} does not answer connection '{self.connection}' like "
                f"{self.product}'s token server (HTTP {status}, {problem or 'no JSON object'}): "
                f"check {self.address_setting} in the secrets, and whether a proxy stands in "
                "between."
            )
        return body

    def _tokens(
        self, body: Mapping[str, Any], before: Tokens | None, seed_fingerprint: str
    ) -> Tokens:
        access_token, refresh_token = body.get("access_token"), body.get("refresh_token")
        if not (isinstance(access_token, str) and isinstance(refresh_token, str)):
            access_token = refresh_token = ""
        if not access_token or not refresh_token:
            raise SourceError(
                f"{self._token_host} answered connection '{self.connection}' without "
                f"access_token and refresh_token: check {self.address_setting} in the secrets; "
                f"if it is right, {AUTHORISE_ANEW}."
            )
        try:
            lifetime = dt.timedelta(seconds=int(body.get("expires_in") or self.lifetime_seconds))
        except (TypeError, ValueError, OverflowError):
            lifetime = dt.timedelta(seconds=self.lifetime_seconds)
        return Tokens(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_at=dt.datetime.now(dt.UTC) + lifetime,
            endpoint=self._endpoint_in(body, before),
            account_id=self._account_in(body, before),
            seed_fingerprint=seed_fingerprint,
        )

    def _endpoint_of(self, tokens: Tokens) -> str:
        if not is_safe_address(tokens.endpoint):
            raise SourceError(self._unsafe_endpoint())
        return tokens.endpoint.rstrip("/") + "/"

    def _refusal(
        self,
        body: Mapping[str, Any],
        *,
        secret: str,
        remedies: Mapping[str, str],
        mark: RefreshMark | None = None,
    ) -> str:
        """The sentence for an answer that is an error."""
        code = self._code(body)
        if code == "invalid_grant" and mark is not None:
            since = f"{mark.refreshing_since:%Y-%m-%d %H:%M} UTC"
            return (
                f"The authorisation of connection '{self.connection}' is lost: a refresh begun at "
                f"{since} had no answer that could be saved (the process ended or the line broke "
                f"in between), and {self._token_host} no longer takes the refresh token used "
                f"then (invalid_grant). No loaded data is lost; {AUTHORISE_ANEW}."
            )
        where = f"{self._token_host} refused connection '{self.connection}'"
        remedy = remedies.get(code)
        if remedy is not None:
            return f"{where} ({code}): {remedy}."
        said = self._said(body)
        # Servers like to quote what they were sent.
        for hidden in (secret, self._client_secret, self._client_id):
            for form in (hidden, quote(hidden, safe="")):
                said = said.replace(form, "…")
        return (
            f"{where}: {said[:200].rstrip('.')}; run again, and if it stays, {AUTHORISE_ANEW}, or "
            "report this line to callfunnel's developers."
        )

    def _other_account(self, before: Tokens | None, account_id: str) -> str:
        known = before.account_id if before else ""
        return (
            f"The application of connection '{self.connection}' is now authorised for another "
            f"portal (member_id {account_id}) than the one this connection reads (member_id "
            f"{known}): give the other portal a connection of its own, and for this one authorise "
            "the application anew in its own portal. Only if the portal itself was moved and kept "
            f"its ids, move {self._store.path} away first."
        )

    def _seed_remedies(self, before: Tokens | None) -> Mapping[str, str]:
        grant = self.seed_remedy
        if before is not None:
            grant += (
                "; to go on with the tokens stored before, take refresh_token out of the secrets"
            )
        return {**self.remedies, "invalid_grant": grant}


def _is_other_account(before: Tokens | None, account_id: str) -> bool:
    return before is not None and before.account_id not in ("", account_id)
