"""The authorisation of an amoCRM integration: codes, day-long tokens, rotation of refreshes.

Documented in amocrm.ru/developers/content/oauth/step-by-step; a refresh token that was used once
answers 401 "Token has been revoked" (amocrm-api-php issue 123). Access tokens are JWTs whose claims
clients do read: `exp` to refresh in time, `api_domain` (in tokens since August 2024, aioamocrm's
README) to find an account that has moved.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from sources.demo.amocrm.problems import Problem, token_refused

CODE_SECONDS = 20 * 60
ACCESS_SECONDS = 86_400
REFRESH_SECONDS = 90 * 86_400
REDIRECT_URI = "https://application.example/callback"


@dataclass
class AmoOAuth:
    """One integration installed in one account.

    Attributes:
        client_id: the integration's id.
        client_secret: its secret.
        redirect_uri: must stand in every token request.
        now: the clock, seconds since 1970; None is the store's virtual clock.
        moved_to: where the account has moved; tokens are not to be had here any more.
        api_domain: the API server that access tokens name; empty for none, as in older tokens.
        granted: codes exchanged for tokens so far.
        refreshes: refreshes served so far.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str = REDIRECT_URI
    now: Callable[[], float] | None = None
    moved_to: str = ""
    api_domain: str = ""
    granted: int = 0
    refreshes: int = 0
    _codes: dict[str, float] = field(default_factory=dict, repr=False)
    _access: dict[str, float] = field(default_factory=dict, repr=False)
    _refresh: dict[str, float] = field(default_factory=dict, repr=False)
    _used: set[str] = field(default_factory=set, repr=False)

    def code(self) -> str:
        """A code as the administrator's browser brings it back: good for 20 minutes, once."""
        code = secrets.token_hex(32)
        self._codes[code] = self._clock() + CODE_SECONDS
        return code

    def authorize(self, parameters: Mapping[str, Any], served_at: str) -> str:
        """Give the integration a code; the administrator's consent is taken for granted.

        Args:
            parameters: `client_id`, and `state`, which comes back untouched.
            served_at: the account's address.

        Returns:
            The address to which the browser is sent.

        Raises:
            Problem: 404, the integration is not installed here.
        """
        if parameters.get("client_id") != self.client_id:
            raise Problem(404, "Integration not found")
        query = {
            "code": self.code(),
            "state": str(parameters.get("state", "")),
            "referer": urlsplit(served_at).netloc,
            "client_id": self.client_id,
        }
        return f"{self.redirect_uri}?{urlencode(query)}"

    def issue(self) -> dict[str, Any]:
        """A new pair of tokens in the form of the token endpoint's answer."""
        access_token, refresh_token = self._access_token(), secrets.token_hex(32)
        self._access[access_token] = self._clock() + ACCESS_SECONDS
        self._refresh[refresh_token] = self._clock() + REFRESH_SECONDS
        return {
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "access_token": access_token,
            "refresh_token": refresh_token,
        }

    def _access_token(self) -> str:
        """A JWT; clients can't verify its signature, so that it is no more than random bytes."""
        now = int(self._clock())
        claims = {
            "aud": self.client_id,
            "jti": secrets.token_hex(32),
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_SECONDS,
            "scopes": ["crm", "notifications"],
            **({"api_domain": self.api_domain} if self.api_domain else {}),
        }
        parts = [json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "RS256"}, claims)]
        return ".".join(_base64url(part) for part in (*parts, secrets.token_bytes(32)))

    def token(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/oauth2/access_token`: a code or a refresh token becomes a new pair.

        Raises:
            Problem: 400 for a bad request or code, 401 for a bad client or refresh token, 404
                where the account has moved.
        """
        if self.moved_to:
            raise Problem(404, "Account not found")
        grants = {
            "authorization_code": ("code", "Authorization code", 400, self._codes),
            "refresh_token": ("refresh_token", "Token", 401, self._refresh),
        }
        kind = str(parameters.get("grant_type", ""))
        if kind not in grants:
            raise token_refused(400, "Check the `grant_type` parameter")
        name, thing, status, valid = grants[kind]
        for needed in (name, "redirect_uri"):
            if not parameters.get(needed):
                raise token_refused(400, f"Check the `{needed}` parameter")
        if (parameters.get("client_id"), parameters.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            raise token_refused(401, "Client authentication failed")
        if parameters["redirect_uri"] != self.redirect_uri:
            raise token_refused(400, "Check the `redirect_uri` parameter")
        given = str(parameters[name])
        if given in self._used:
            raise token_refused(status, f"{thing} has been revoked")
        if given not in valid:
            raise token_refused(status, f"Cannot decrypt the {name.replace('_', ' ')}")
        if self._clock() >= valid.pop(given):
            raise token_refused(status, f"{thing} has expired")
        self._used.add(given)
        if kind == "refresh_token":
            self.refreshes += 1
        else:
            self.granted += 1
        return self.issue()

    def admits(self, access_token: str) -> bool:
        """Whether an access token opens the API now."""
        return self._clock() < self._access.get(access_token, 0.0)

    def knows_refresh(self, refresh_token: str) -> bool:
        """Whether a refresh token could still be used."""
        return refresh_token in self._refresh

    def expire_access_tokens(self) -> None:
        """End every access token now; refresh tokens stay."""
        self._access = dict.fromkeys(self._access, 0.0)

    def _clock(self) -> float:
        if self.now is None:
            raise ValueError("give the integration a clock, or put it into a portal")
        return self.now()


def _base64url(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
