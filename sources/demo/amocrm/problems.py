"""What the API answers when it refuses: `application/problem+json`, or nginx's own page.

Bodies and statuses: developers.kommo.com/docs/http-codes. The token errors are not documented;
`hint` and `type` are what clients of the vendor report (amocrm-api-php issue 123).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

BLOCKED_PAGE = (
    "<html>\n<head><title>403 Forbidden</title></head>\n<body>\n"
    "<center><h1>403 Forbidden</h1></center>\n<hr><center>nginx</center>\n</body>\n</html>\n"
)
"""What every request gets once the account's API is blocked."""
_OAUTH_TYPE = "https://developers.amocrm.ru/v3/errors/OAuthProblemJson"


class Problem(Exception):
    """An answer with an error body."""

    def __init__(
        self, status: int, detail: str, *, title: str = "", more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or _phrase(status)
        self.more = dict(more or {})

    def body(self) -> dict[str, Any]:
        """The body, with whatever the error brings beside the four common fields."""
        return {
            "title": self.title,
            "type": f"https://httpstatus.es/{self.status}",
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def unauthorized() -> Problem:
    """No token, or one that is unknown or has expired."""
    return Problem(401, "Invalid user name or password")


def unpaid() -> Problem:
    """The account's subscription has ended."""
    return Problem(402, "Payment required")


def forbidden() -> Problem:
    """The token's user has no right to this."""
    return Problem(403, "Invalid scope")


def too_many_requests() -> Problem:
    """More requests than a second allows."""
    return Problem(
        429,
        "You have sent too many requests in a given amount of time. Please try again later.",
        more={"retry_after": 300},
    )


def server_error() -> Problem:
    """Something went wrong inside."""
    return Problem(
        500,
        "Our team are probably already working on the elimination of the problem",
        title="ErrInternalServer",
        more={"trace_id": "8e9b1e47-1ea4-111f0-a4f9-0031163e1de759"},
    )


def invalid(path: str, code: str, detail: str) -> Problem:
    """A parameter that can't be used; `path` as in `filter.updated_at.from`."""
    errors = [{"request_id": "0", "errors": [{"code": code, "path": path, "detail": detail}]}]
    return Problem(400, "Request validation failed", more={"validation-errors": errors})


def token_refused(status: int, hint: str) -> Problem:
    """A refusal of the token endpoint."""
    return Problem(
        status,
        "В запросе отсутствует ряд параметров или параметры невалидны",
        title="Некорректный запрос",
        more={"hint": hint, "type": _OAUTH_TYPE},
    )
