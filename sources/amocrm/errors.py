"""What amoCRM's and Kommo's errors mean, and what to do about each.

Bodies are `application/problem+json` (vendor's page http-codes); the HTTP status decides, since
the texts come in the account's language. Two forms of 403 must not be mixed up: with JSON the
access lacks a right, without it the vendor has blocked the account's API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sources.errors import RemoteError


class AmoError(RemoteError):
    """The account answered with an error; the message names the remedy, never a token."""


ASK = (
    "run again, and if it stays, show this line to the account's administrator or report it to "
    "callfunnel's developers."
)
_REJECTED = (
    "the access token of connection '{connection}' is unknown, expired or revoked; make a new "
    "long-lived token as an administrator (the integration's page, Keys and scopes) and put it "
    "into the secrets, or authorise the application anew (make authorise)."
)
_CONNECTION_WIDE: Mapping[int, str] = {
    401: _REJECTED,
    402: (
        "the account is not paid (402); pay for it in amoCRM, or take connection '{connection}' "
        "out of the company's rules."
    ),
}
_REFUSED: Mapping[int, str] = {
    403: (
        "the access of connection '{connection}' lacks the right to read this; let an "
        "administrator make the token, and tick the integration's access to the account's data."
    ),
    404: (
        "the account of connection '{connection}' has no such list; check that account_url in "
        "the secrets is the account's address, and that this part of amoCRM is switched on."
    ),
}
_USERS = (
    "only an administrator may list the users; make the token of connection '{connection}' as an "
    "administrator. Until then dismissed employees cannot be checked (Q1)."
)


def amo_error(
    host: str, connection: str, path: str, status: int, body: Mapping[str, Any]
) -> AmoError:
    """The error of one refused request, as one sentence with its remedy.

    Args:
        host: the account.
        connection: the connection's name in the company's rules.
        path: what was asked for, without its parameters.
        status: of the HTTP answer.
        body: the problem that was told; tokens taken out.
    """
    where = f"{host} refused {path} ({status})"
    if status in _CONNECTION_WIDE:
        hint = str(body.get("hint") or "").rstrip(".")
        said = f", {hint}" if hint and status == 401 else ""
        remedy = _CONNECTION_WIDE[status].format(connection=connection)
        return AmoError(
            f"{host} refused {path} ({status}{said}): {remedy}",
            str(status),
            is_connection_wide=True,
        )
    if status in _REFUSED:
        remedy = _USERS if (path, status) == ("users", 403) else _REFUSED[status]
        # Without the account itself there is nothing to read.
        return AmoError(
            f"{where}: {remedy.format(connection=connection)}",
            str(status),
            is_refusal=path != "account",
            is_connection_wide=path == "account",
        )
    return AmoError(f"{where}: {_said(body)}; {ASK}", str(status))


def blocked_error(host: str, connection: str) -> AmoError:
    """The vendor has closed the account's API to everybody after too many requests."""
    return AmoError(
        f"{host} has blocked the API of connection '{connection}' (403 without a reason, as after "
        "too many requests): stop all integrations of the account, write to the vendor's support "
        "and ask them to lift the block; run again only then.",
        "blocked",
        is_connection_wide=True,
    )


def limit_error(host: str, path: str, seconds: float) -> AmoError:
    """The rate limit outlasts the patience."""
    return AmoError(
        f"{host} kept refusing {path} (429) for longer than {seconds:.0f} s: run again later, or "
        "lower the load that other integrations put on the account.",
        "429",
        is_connection_wide=True,
    )


def fifty_rows_error(host: str, path: str, asked: int) -> AmoError:
    """The server has taken the asked page length for too long, and silently sent 50 rows."""
    return AmoError(
        f"{host} answered {path} with pages of 50 rows though {asked} were asked for: the "
        "account allows shorter pages than callfunnel knows, and rows would be skipped; nothing "
        f"was loaded from there. Report this line to callfunnel's developers ({path}, {asked}).",
        "fifty_rows",
    )


def contradiction_error(host: str, path: str) -> AmoError:
    """Pages of one list that can't be true together, also when asked for again."""
    return AmoError(
        f"{host} answered {path} with a page that repeats another one, or holds nothing though "
        f"rows stand behind it: rows would be skipped; {ASK}",
        "contradiction",
    )


def _said(body: Mapping[str, Any]) -> str:
    """What the server says, and of a validation what is wrong with which parameter."""
    words = str(
        body.get("detail") or body.get("error_description") or body.get("title") or "no reason"
    ).rstrip(".")
    told = [
        f"{error.get('path')}: {str(error.get('detail', error.get('code'))).rstrip('.')}"
        for request in _maps(body.get("validation-errors"))
        for error in _maps(request.get("errors"))
    ]
    return f"{words} ({'; '.join(told)})"[:500] if told else words[:500]


def _maps(value: Any) -> list[Mapping[str, Any]]:
    found = value.values() if isinstance(value, Mapping) else value
    return [item for item in found or () if isinstance(item, Mapping)]
