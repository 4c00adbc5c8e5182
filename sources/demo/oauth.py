"""The authorisation server behind an OAuth application: codes, tokens, rotation of refreshes.

Vendor's pages settings/oauth/index (the flow, the code's 30 seconds, the answers), auto-renewal
(rotation, 180 days) and error-codes. The pages give no HTTP statuses for the token errors; 400,
and 401 for PAYMENT_REQUIRED, are what the vendor's own b24pysdk expects.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from sources.demo.access import Access, CallRight
from sources.demo.methods import SCOPES, MethodError

SERVER = "oauth.bitrix.info"
CODE_SECONDS = 30
ACCESS_SECONDS = 3600
REFRESH_SECONDS = 180 * 86_400
_NO_AUTH = "Wrong authorization data"


@dataclass
class OAuthServer:
    """One application installed in one portal, and the server that gives it tokens.

    Attributes:
        client_id: the application's code.
        client_secret: its secret.
        user_id: the user who authorises it; requests run with this user's rights.
        scopes: what the application may do.
        categories: as in `Access`.
        calls: as in `Access`.
        redirect_uri: where the portal sends the browser with the code.
        member_id: the portal's stable key, 32 hexadecimal digits.
        paid: false answers every token request with PAYMENT_REQUIRED.
        now: the clock, seconds since 1970; tests move it.
        portal_url: the portal's address in the answers; empty is where it is served.
        granted: codes exchanged for tokens so far.
        refreshes: refreshes served so far.
        served_at: where the portal is served; the server writes it.
    """

    client_id: str
    client_secret: str = field(repr=False)
    user_id: int = 1
    scopes: tuple[str, ...] = SCOPES
    categories: Collection[int] | None = None
    calls: CallRight = "all"
    redirect_uri: str = "https://application.example/callback"
    member_id: str = "de300000000000000000000000000001"
    paid: bool = True
    now: Callable[[], float] = time.time
    portal_url: str = ""
    granted: int = 0
    refreshes: int = 0
    served_at: str = ""
    _codes: dict[str, float] = field(default_factory=dict, repr=False)
    _access: dict[str, float] = field(default_factory=dict, repr=False)
    _refresh: dict[str, float] = field(default_factory=dict, repr=False)

    def authorize(self, parameters: Mapping[str, Any]) -> str:
        """Give the application a code; the user's consent is taken for granted.

        Args:
            parameters: `client_id`, and `state`, which comes back untouched.

        Returns:
            The address to which the browser is sent.

        Raises:
            MethodError: `invalid_client`, the application is not installed here.
        """
        if parameters.get("client_id") != self.client_id:
            raise MethodError(400, "invalid_client", "Application not installed")
        code = secrets.token_hex(16)
        self._codes[code] = self.now() + CODE_SECONDS
        query = {
            "code": code,
            "state": str(parameters.get("state", "")),
            "domain": urlsplit(self._url).netloc,
            "member_id": self.member_id,
            "scope": ",".join(self.scopes),
            "server_domain": SERVER,
        }
        return f"{self.redirect_uri}?{urlencode(query)}"

    def token(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/oauth/token/`: a code or a refresh token becomes a new pair of tokens.

        A refresh token serves once: the answer's takes its place.

        Raises:
            MethodError: `invalid_request`, `invalid_client`, `invalid_grant`, `PAYMENT_REQUIRED`.
        """
        grants = {
            "authorization_code": ("code", self._codes),
            "refresh_token": ("refresh_token", self._refresh),
        }
        kind = str(parameters.get("grant_type", ""))
        if kind not in grants or not parameters.get(grants[kind][0]):
            raise MethodError(400, "invalid_request", "Invalid request")
        if (parameters.get("client_id"), parameters.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            raise MethodError(400, "invalid_client", "Invalid client")
        if not self.paid:
            raise MethodError(401, "PAYMENT_REQUIRED", "Payment required")
        name, valid = grants[kind]
        if self.now() >= valid.pop(str(parameters[name]), 0.0):
            raise MethodError(400, "invalid_grant", "Invalid grant")
        if kind == "refresh_token":
            self.refreshes += 1
        else:
            self.granted += 1
        return self.issue()

    def issue(self) -> dict[str, Any]:
        """A new pair of tokens in the form of the token server's answer."""
        now = self.now()
        access_token, refresh_token = secrets.token_hex(16), secrets.token_hex(16)
        self._access[access_token] = now + ACCESS_SECONDS
        self._refresh[refresh_token] = now + REFRESH_SECONDS
        return {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "expires_in": ACCESS_SECONDS,
            "expires": int(now) + ACCESS_SECONDS,
            "client_endpoint": f"{self._url}/rest/",
            "server_endpoint": f"https://{SERVER}/rest/",
            "domain": SERVER,
            "member_id": self.member_id,
            "scope": ",".join(self.scopes),
            "status": "L",
            "user_id": self.user_id,
        }

    def access(self, token: str) -> Access:
        """The rights of a request with this access token.

        Raises:
            MethodError: `expired_token` after an hour, `NO_AUTH_FOUND` for an unknown token.
        """
        expires = self._access.get(token)
        if expires is None:
            raise MethodError(401, "NO_AUTH_FOUND", _NO_AUTH)
        if self.now() >= expires:
            raise MethodError(401, "expired_token", "The access token provided has expired.")
        return Access(
            self.user_id, self.scopes, self.categories, self.calls, f"app {self.client_id}"
        )

    def expire_access_tokens(self) -> None:
        """End every access token now; refresh tokens stay."""
        self._access = dict.fromkeys(self._access, 0.0)

    @property
    def _url(self) -> str:
        return self.portal_url or self.served_at
