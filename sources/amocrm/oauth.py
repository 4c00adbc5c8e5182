"""Authorisation of an amoCRM or Kommo application: refresh tokens are good for one use.

Facts: vendor's pages oauth/step-by-step and oauth/account-subdomain. An access token lives a day.
A used refresh token is answered with 401 "Token has been revoked". An account that was moved or
renamed answers 401 or 404 at its old address; where it is now is told by the API server that its
access token names.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from sources.errors import SourceError
from sources.oauth import RotatingOAuth
from sources.tokens import AUTHORISE_ANEW, LockedTokens, Tokens, TokenStore
from sources.web import LOOPBACK, is_safe_address, read_json

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
ACCESS_TOKEN_SECONDS = 86_400
VENDOR_DOMAINS = ("amocrm.ru", "amocrm.com", "kommo.com")
_MOVED = (requests.codes.unauthorized, requests.codes.not_found)

_REMEDIES: Mapping[str, str] = {
    "invalid_client": (
        "client_id, client_secret or redirect_uri is not that of the integration; copy all three "
        "from the integration's card (Keys and scopes) into the secrets"
    ),
    "invalid_grant": (
        "the stored refresh token is unknown there: not used for 3 months, the integration was "
        "switched off in the account, or it was used already by a copy of this installation or "
        f"before a backup was put back; {AUTHORISE_ANEW}"
    ),
    "not_found": (
        "there is no account at this address, and the vendor names no other; check account_url"
    ),
    "payment_required": "the account is not paid; pay for it in amoCRM, then run again",
}
_SEED_GRANT = (
    "the refresh_token in the secrets is unknown there: older than 3 months, made for another "
    f"integration, or used already (each is good for one use); {AUTHORISE_ANEW}"
)
_CODE_GRANT = (
    "the authorisation code is unknown, used, or older than its 20 minutes; take a new one from "
    "the integration's card (Keys and scopes) and hand it over at once"
)


class AmoOAuth(RotatingOAuth):
    """The authorisation of one account's application; see `RotatingOAuth`.

    Args:
        account_url: `https://<subdomain>.amocrm.ru`; plain http only on loopback.
        client_id: the integration's id, from its card.
        client_secret: the integration's secret, from the same card.
        redirect_uri: the integration's redirect address, letter by letter.
        store: where the connection's tokens stand.
        seed_refresh_token: a refresh token from the secrets. One that the store has not seen wins
            over the stored tokens.
        connection: the connection's name, for messages.
        attempts: how often a server that does not answer is asked.

    Raises:
        SourceError: account_url is not a safe address.
    """

    product = "amoCRM"
    address_setting = "account_url"
    lifetime_seconds = ACCESS_TOKEN_SECONDS
    remedies = _REMEDIES
    seed_remedy = _SEED_GRANT
    code_remedy = _CODE_GRANT

    def __init__(
        self,
        account_url: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        store: TokenStore,
        seed_refresh_token: str | None = None,
        connection: str = "main",
        *,
        attempts: int = 4,
    ) -> None:
        if not is_safe_address(account_url):
            raise SourceError(
                f"The account_url of connection '{connection}' is no https address without user "
                "name and query: correct it in the secrets (https://<subdomain>.amocrm.ru). Plain "
                "http is only for this machine itself."
            )
        super().__init__(client_id, client_secret, store, seed_refresh_token, connection, attempts)
        parts = urlsplit(account_url.strip())
        self._given = f"{parts.scheme}://{parts.netloc}"
        self._found = ""
        """The address that answered last."""
        self._redirect_uri = redirect_uri
        self._access_token = ""

    @property
    def _token_host(self) -> str:
        return urlsplit(self._account()).hostname or ""

    def _account(self) -> str:
        """Where the account is now, as far as is known."""
        return self._found or self._given

    def _refreshed(self, held: LockedTokens) -> Tokens:
        # A moved account answers at the address that the last tokens came from.
        before = held.stored.tokens
        if before is not None and is_safe_address(before.endpoint):
            self._found = before.endpoint.rstrip("/")
            self._access_token = before.access_token
        return super()._refreshed(held)

    def _send(self, session: requests.Session, grant: Mapping[str, str]) -> requests.Response:
        response = self._post(session, grant)
        if response.status_code in _MOVED and "refresh_token" in grant:
            moved_to = self._moved_to(session, grant["refresh_token"])
            if moved_to and moved_to != self._account():
                self._found = moved_to
                return self._post(session, grant)
        return response

    def _post(self, session: requests.Session, grant: Mapping[str, str]) -> requests.Response:
        return session.post(
            f"{self._account()}/oauth2/access_token",
            json={
                **grant,
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "redirect_uri": self._redirect_uri,
            },
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            allow_redirects=False,
        )

    def _moved_to(self, session: requests.Session, refresh_token: str) -> str:
        """The account's present address; empty where nobody can tell."""
        parts = urlsplit(self._account())
        told = _claim(self._access_token, "api_domain")
        host = told if told and _is_vendors(told, parts.netloc) else parts.netloc
        response = session.get(
            f"{parts.scheme}://{host}/oauth2/account/current/subdomain",
            headers={"X-Refresh-Token": refresh_token},
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            allow_redirects=False,
        )
        body = read_json(response.content) if response.status_code == requests.codes.ok else None
        domain = str(body.get("domain") or "") if isinstance(body, dict) else ""
        return f"{parts.scheme}://{domain}" if _is_vendors(domain, parts.netloc) else ""

    def _is_refusal(self, body: Mapping[str, Any]) -> bool:
        return not body.get("refresh_token") and any(
            name in body for name in ("status", "hint", "title", "detail", "error")
        )

    def _code(self, body: Mapping[str, Any]) -> str:
        if not self._is_refusal(body):
            return ""
        # The texts come in the account's language; these words do not.
        said = f"{body.get('hint', '')} {body.get('detail', '')} {body.get('error', '')}".casefold()
        status = str(body.get("status", ""))
        if "client" in said or "redirect" in said:
            return "invalid_client"
        if status == "401" or any(word in said for word in ("revoked", "expired", "decrypt")):
            return "invalid_grant"
        return {"402": "payment_required", "404": "not_found"}.get(status, "")

    def _said(self, body: Mapping[str, Any]) -> str:
        return str(body.get("hint") or body.get("detail") or body.get("title") or "no reason given")

    def _endpoint_in(self, body: Mapping[str, Any], before: Tokens | None) -> str:
        return f"{self._account()}/"

    def _unsafe_endpoint(self) -> str:
        return (
            f"The address of the account of connection '{self.connection}' is no https address: "
            "correct account_url in the secrets, then run again."
        )


def _is_vendors(host: str, known: str) -> bool:
    """Whether a host may be sent a token: the vendor's own, or loopback where we are there."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        known_name = urlsplit(f"//{known}").hostname or ""
    except ValueError:
        return False
    if known_name in LOOPBACK:
        return name in LOOPBACK
    return name == host.casefold() and any(
        name == domain or name.endswith(f".{domain}") for domain in VENDOR_DOMAINS
    )


def _claim(access_token: str, name: str) -> str:
    """What an access token (a JWT) says of itself; empty where it is none."""
    try:
        _, payload, _ = access_token.split(".")
        padded = payload + "=" * (-len(payload) % 4)
        return str(json.loads(base64.urlsafe_b64decode(padded)).get(name) or "")
    except (ValueError, binascii.Error, AttributeError):
        return ""
