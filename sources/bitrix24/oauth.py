"""Authorisation of a Bitrix24 application: access tokens of an hour, refresh tokens used once.

The rules are the vendor's (pages settings/oauth/index and auto-renewal): a refresh only after the
portal has refused a token as expired, never by the clock, or the vendor may block the application;
each answer brings another refresh token, good for 180 days; `member_id` names the portal for good,
its address may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from sources.errors import SourceError
from sources.oauth import RotatingOAuth
from sources.tokens import AUTHORISE_ANEW, Tokens, TokenStore
from sources.web import is_safe_address

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105
CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
ACCESS_TOKEN_SECONDS = 3600
"""Where an answer does not say how long its access token lives (vendor's page auto-renewal)."""

_SYNONYMS: Mapping[str, str] = {
    # Codes the vendor's own client knows beside those of its pages.
    "wrong_client": "invalid_client",
    "not_installed": "invalid_client",
    "invalid_scope": "insufficient_scope",
    "expired_token": "invalid_grant",
}
_REMEDIES: Mapping[str, str] = {
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
_CODE_GRANT = (
    "the authorisation code is unknown, used, or older than its 30 seconds; open the "
    "portal's authorisation page again and hand the new code over at once"
)


class OAuth(RotatingOAuth):
    """The authorisation of one portal's application; see `RotatingOAuth`.

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

    product = "Bitrix24"
    address_setting = "token_url"
    lifetime_seconds = ACCESS_TOKEN_SECONDS
    remedies = _REMEDIES
    seed_remedy = _SEED_GRANT
    code_remedy = _CODE_GRANT

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
        super().__init__(client_id, client_secret, store, seed_refresh_token, connection, attempts)
        self._token_url = token_url

    @property
    def _token_host(self) -> str:
        return urlsplit(self._token_url).hostname or ""

    def _send(self, session: requests.Session, grant: Mapping[str, str]) -> requests.Response:
        return session.get(
            self._token_url,
            params={
                **grant,
                "client_id": self._client_id,
                "client_secret": self._client_secret,
            },
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            # The address carries the secrets: it is for this server alone.
            allow_redirects=False,
        )

    def _code(self, body: Mapping[str, Any]) -> str:
        code = str(body.get("error", "")).casefold()
        return _SYNONYMS.get(code, code)

    def _said(self, body: Mapping[str, Any]) -> str:
        return str(body.get("error_description") or body.get("error") or "no reason given")

    def _endpoint_in(self, body: Mapping[str, Any], before: Tokens | None) -> str:
        return str(body.get("client_endpoint") or (before.endpoint if before else ""))

    def _account_in(self, body: Mapping[str, Any], before: Tokens | None) -> str:
        return str(body.get("member_id") or (before.account_id if before else ""))

    def _unsafe_endpoint(self) -> str:
        return (
            f"{self._token_host} names no https address for the portal of connection "
            f"'{self.connection}' (client_endpoint): turn on https for the portal, then run "
            "again."
        )
