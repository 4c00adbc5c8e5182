"""Authorisation of a Bitrix24 application: access tokens of an hour, refresh tokens used once.

The rules are the vendor's (pages settings/oauth/index and auto-renewal): a refresh only after the
portal has refused a token as expired, never by the clock, or the vendor may block the application;
each answer brings another refresh token, good for 180 days; `member_id` names the portal for good,
its address may change.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

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

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105
CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
ACCESS_TOKEN_SECONDS = 3600
"""Where an answer does not say how long its access token lives (vendor's page auto-renewal)."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

logger = logging.getLogger("callfunnel.bitrix24")
# At DEBUG the HTTP library logs every address, and with it the tokens and the client's secret.
logging.getLogger("urllib3").setLevel(logging.INFO)


class _Unanswered(Exception):
    """The token server gave no answer that says whether the refresh took place."""


class OAuth:
    """The authorisation of one portal's application; safe to share between threads.

    Nothing is kept in memory: each call reads the store, so that a token another process has
    just received is used here too.

    Args:
        client_id: the application's key, from its card in the portal.
        client_secret: the application's secret, from the same card.
        store: where the connection's tokens stand.
        seed_refresh_token: a refresh token from the secrets. One that the store has not seen wins
            over the stored tokens.
        token_url: the authorisation server; plain http only on loopback.
        connection: the connection's name, for messages.
        attempts: how often a server that does not answer is asked.

    Raises:
        SourceError: token_url is not a safe address.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        store: TokenStore,
        seed_refresh_token: str | None = None,
        token_url: str = TOKEN_URL,
        connection: str = "main",
        *,
        attempts: int = 4,
    ) -> None:
        if not is_safe_address(token_url):
            raise SourceError(
                f"The token_url of connection '{connection}' is no https address without user "
                f"name and query: remove it from the secrets ({TOKEN_URL} is taken then) or "
                "correct it. Plain http is only for this machine itself."
            )
        self.connection = connection
        self._client_id = client_id
        self._client_secret = client_secret
        self._store = store
        self._seed = seed_refresh_token or None
        self._token_url = token_url
        self._token_host = urlsplit(token_url).hostname or ""
        self._attempts = attempts

    def __repr__(self) -> str:
        return f"OAuth(connection={self.connection!r}, token_host={self._token_host!r})"

    def endpoint(self) -> str:
        """The base of the portal's REST, e.g. `https://example.bitrix24.com/rest/`.

        It changes when the portal moves to another domain: ask anew after each `refresh`.

        Raises:
            SourceError: as `access_token`.
        """
        return self._endpoint_of(self._current())

    def access_token(self) -> str:
        """The token requests carry, as stored; the first one is fetched with the seed.

        It may have expired: the portal says so with 401 expired_token, then call `refresh`.

        Raises:
            SourceError: nobody has authorised the application, or the token server refuses or is
                not there; the message names the remedy.
        """
        return self._current().access_token

    def refresh(self, failed_token: str) -> str:
        """Another access token in place of one the portal has refused as expired.

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
        """Exchange an authorisation code, which lives 30 seconds, for the first tokens.

        Returns:
            The base of the portal's REST.

        Raises:
            SourceError: the code is too old, the portal is another one than before, or the token
                server refuses or is not there.
        """
        with self._store.locked() as held:
            body, _ = self._ask({"grant_type": "authorization_code", "code": code})
            if _is_refusal(body):
                raise SourceError(self._refusal(body, secret=code, remedies=_CODE_REMEDIES))
            before = held.stored.tokens
            seed_fingerprint = before.seed_fingerprint if before else ""
            if self._seed is not None:
                # Else the seed, by now the older one of the two, would win over these tokens.
                seed_fingerprint = fingerprint(self._seed)
            tokens = self._tokens(body, before, seed_fingerprint)
            if _is_other_account(before, tokens.account_id):
                raise SourceError(self._other_portal(before, tokens.account_id))
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
                f"The Bitrix24 application of connection '{self.connection}' is not authorised "
                f"yet: {AUTHORISE_ANEW}."
            )
        earlier = held.begin_refresh(grant)
        if earlier is not None and earlier.answered_by:
            raise SourceError(self._other_portal(before, earlier.answered_by))
        body, was_repeated = self._ask({"grant_type": "refresh_token", "refresh_token": grant})
        if _is_refusal(body):
            is_lost = was_repeated or earlier is not None
            mark = held.stored.mark if is_lost else None
            if not is_lost:
                held.end_refresh()
            remedies = _seed_remedies(before) if grant == self._seed else _STORED_REMEDIES
            raise SourceError(self._refusal(body, secret=grant, remedies=remedies, mark=mark))
        tokens = self._tokens(body, before, seed_fingerprint)
        if _is_other_account(before, tokens.account_id):
            held.refuse_refresh(tokens.account_id)
            raise SourceError(self._other_portal(before, tokens.account_id))
        held.save(tokens)
        logger.info("Connection '%s': the access token was refreshed", self.connection)
        # After saving: an address that can't be used must not cost the new refresh token.
        self._endpoint_of(tokens)
        return tokens

    def _ask(self, grant: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
        """The token server's answer, and whether an attempt before it got none."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Unanswered),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=20.0, jitter=0.5),
            before_sleep=self._say_waiting,
            reraise=True,
        )
        problem = ""
        try:
            body = retrying(self._request, grant)
        except _Unanswered as unanswered:
            problem = str(unanswered)
        if problem:
            raise SourceError(
                f"Bitrix24's token server {self._token_host} gave connection '{self.connection}' "
                f"no answer ({problem}): check the network, then run again; the authorisation is "
                "tried once more with the same refresh token."
            )
        return body, int(retrying.statistics["attempt_number"]) > 1

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        sleep = state.next_action.sleep if state.next_action else 0
        logger.info("%s is busy or out of reach, next try in %.1f s", self._token_host, sleep)

    def _request(self, grant: Mapping[str, str]) -> dict[str, Any]:
        problem, response, body = "", None, None
        parameters = {
            **grant,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        try:
            with requests.Session() as session:
                # A proxy of the environment is no way to this machine's own loopback.
                session.trust_env = self._token_host not in _LOOPBACK
                response = session.get(
                    self._token_url,
                    params=parameters,
                    timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                    # The address carries the secrets: it is for this server alone.
                    allow_redirects=False,
                )
        except requests.exceptions.SSLError:
            problem = "its TLS certificate is not trusted"
        except requests.Timeout:
            problem = "no answer in time"
        except requests.RequestException:
            problem = "no connection, or lost before the answer"
        # Raised outside of the handlers: the HTTP library's errors hold the address and thus the
        # secrets, the JSON library's hold the answer and thus the tokens.
        if response is None:
            raise _Unanswered(problem)
        try:
            body = response.json()
        except ValueError:
            problem = "no JSON"
        status = response.status_code
        is_known_refusal = isinstance(body, dict) and _code(body) in _STORED_REMEDIES
        if not is_known_refusal and (status >= 500 or status == 429):
            raise _Unanswered(f"HTTP {status}")
        if not isinstance(body, dict):
            raise SourceError(
                f"{self._token_host} does not answer connection '{self.connection}' like "
                f"Bitrix24's token server (HTTP {status}, {problem or 'no JSON object'}): check "
                "token_url in the secrets, and whether a proxy stands in between."
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
                "access_token and refresh_token: check token_url in the secrets; if it is right, "
                f"{AUTHORISE_ANEW}."
            )
        try:
            lifetime = dt.timedelta(seconds=int(body.get("expires_in") or ACCESS_TOKEN_SECONDS))
        except (TypeError, ValueError, OverflowError):
            lifetime = dt.timedelta(seconds=ACCESS_TOKEN_SECONDS)
        return Tokens(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_at=dt.datetime.now(dt.UTC) + lifetime,
            endpoint=str(body.get("client_endpoint") or (before.endpoint if before else "")),
            account_id=str(body.get("member_id") or (before.account_id if before else "")),
            seed_fingerprint=seed_fingerprint,
        )

    def _endpoint_of(self, tokens: Tokens) -> str:
        if not is_safe_address(tokens.endpoint):
            raise SourceError(
                f"{self._token_host} names no https address for the portal of connection "
                f"'{self.connection}' (client_endpoint): turn on https for the portal, then run "
                "again."
            )
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
        code = _code(body)
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
        said = str(body.get("error_description") or body.get("error") or "no reason given")
        # Servers like to quote what they were sent.
        for hidden in (secret, self._client_secret, self._client_id):
            for form in (hidden, quote(hidden, safe="")):
                said = said.replace(form, "…")
        return (
            f"{where}: {said[:200].rstrip('.')}; run again, and if it stays, {AUTHORISE_ANEW}, or "
            "report this line to callfunnel's developers."
        )

    def _other_portal(self, before: Tokens | None, account_id: str) -> str:
        known = before.account_id if before else ""
        return (
            f"The application of connection '{self.connection}' is now authorised for another "
            f"portal (member_id {account_id}) than the one this connection reads (member_id "
            f"{known}): give the other portal a connection of its own, and for this one authorise "
            "the application anew in its own portal. Only if the portal itself was moved and kept "
            f"its ids, move {self._store.path} away first."
        )


def is_safe_address(url: str) -> bool:
    """Whether secrets may be sent there: https, or http on loopback; no user name, no query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    return bool(host) and is_secure and is_plain


def _code(body: Mapping[str, Any]) -> str:
    code = str(body.get("error", "")).casefold()
    return _SYNONYMS.get(code, code)


def _is_refusal(body: Mapping[str, Any]) -> bool:
    # Tokens in the answer count whatever stands beside them: the one sent is used up.
    return "error" in body and not body.get("refresh_token")


def _is_other_account(before: Tokens | None, account_id: str) -> bool:
    return before is not None and before.account_id not in ("", account_id)


_SYNONYMS: Mapping[str, str] = {
    # Codes the vendor's own client knows beside those of its pages.
    "wrong_client": "invalid_client",
    "not_installed": "invalid_client",
    "invalid_scope": "insufficient_scope",
    "expired_token": "invalid_grant",
}
_STORED_REMEDIES: Mapping[str, str] = {
    "invalid_client": (
        "client_id or client_secret is wrong, or the application was removed from the portal; "
        "copy both from the application's card in the portal into the secrets, and see that it is "
        "installed there"
    ),
    "invalid_grant": (
        "the stored refresh token is unknown there: not used for 180 days, made for another "
        "application, or used already by a copy of this installation or before a backup was put "
        f"back; {AUTHORISE_ANEW}"
    ),
    "invalid_request": (
        "it can't read the request; check that client_id, client_secret and refresh_token in the "
        "secrets are whole and without blanks, and that token_url is right"
    ),
    "insufficient_scope": (
        "the application asks for more than its card allows; tick crm, user, department, "
        f"telephony and task in its card in the portal, then {AUTHORISE_ANEW}"
    ),
    "payment_required": (
        "the portal's or the application's paid or trial period is over, or the application was "
        "removed; renew it or install it again in the portal, then run again"
    ),
}
_SEED_GRANT = (
    "the refresh_token in the secrets is unknown there: older than 180 days, made for another "
    f"application, or used already (each is good for one use); {AUTHORISE_ANEW}"
)
_CODE_REMEDIES: Mapping[str, str] = {
    **_STORED_REMEDIES,
    "invalid_grant": (
        "the authorisation code is unknown, used, or older than its 30 seconds; open the "
        "portal's authorisation page again and hand the new code over at once"
    ),
}


def _seed_remedies(before: Tokens | None) -> Mapping[str, str]:
    grant = _SEED_GRANT
    if before is not None:
        grant += "; to go on with the tokens stored before, take refresh_token out of the secrets"
    return {**_STORED_REMEDIES, "invalid_grant": grant}
