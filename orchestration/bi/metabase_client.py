"""Metabase's REST API over http: keys, answers, and trying again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from sources.errors import CallfunnelError

_TIMEOUT_SECONDS = 60
_TRIES = 5


class _TryAgain(Exception):
    """The server is busy or away."""


class Client:
    """Metabase's API, for one key."""

    def __init__(self, url: str, api_key: str, *, wait_seconds: float = 1.0) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["x-api-key"] = api_key
        self._wait = wait_exponential(multiplier=wait_seconds, max=30)

    def get(self, path: str, **parameters: Any) -> Any:
        """Read."""
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make. Not tried again after an answer: what was made would be made twice."""
        return self._call("POST", path, json=body or {}, again=False)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change."""
        return self._call("PUT", path, json=body)

    def _call(self, method: str, path: str, *, again: bool = True, **more: Any) -> Any:
        retrying = Retrying(
            stop=stop_after_attempt(_TRIES if again else 1),
            wait=self._wait,
            retry=retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return retrying(self._once, method, path, **more)
        except _TryAgain as problem:
            raise CallfunnelError(f"Metabase at {self._url} does not answer: {problem}") from None

    def _once(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._session.request(
                method, f"{self._url}/api/{path}", timeout=_TIMEOUT_SECONDS, **more
            )
        except (requests.ConnectionError, requests.Timeout) as problem:
            raise _TryAgain(type(problem).__name__) from problem
        if answer.status_code == requests.codes.too_many_requests or answer.status_code >= 500:
            raise _TryAgain(f"{method} {path} gave {answer.status_code}")
        if answer.status_code in (401, 403):
            raise CallfunnelError(
                f"Metabase refuses {method} {path} ({answer.status_code}): the API key must belong "
                "to the group Administrators (Admin settings, Authentication, API keys)."
            )
        if not answer.ok:
            raise CallfunnelError(
                f"Metabase refuses {method} {path} ({answer.status_code}): {answer.text[:500]}"
            )
        return answer.json() if answer.content else None
