"""What Bitrix24's error codes mean, and what to do about each.

Codes come in many spellings (vendor's page error-codes and the samples of single methods): lower
and upper case, an empty text, the number 0. Matching is by code first, then by description, then
by HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping

from sources.errors import RemoteError

LIMIT_CODES = frozenset({"query_limit_exceeded"})
"""The bucket is full: the same request is sent again later."""
METHOD_LIMIT_CODES = frozenset({"operation_time_limit"})
"""This method has used up its time: other methods go on meanwhile."""
PASSING_CODES = frozenset(
    {"internal_server_error", "error_unexpected_answer", "error_core", "unexpected_error"}
)
"""The server stumbled: a few more tries."""
TOKEN_CODES = frozenset({"expired_token"})
PORTAL_CODES = frozenset(
    {
        "invalid_credentials",
        "no_auth_found",
        "expired_token",
        "invalid_token",
        "overload_limit",
        "portal_deleted",
        "invalid_request",
        "user_access_error",
        "payment_required",
    }
)
"""Errors that every other method would meet too: the load of the connection stops."""
ACCESS_CODES = frozenset({"insufficient_scope", "access_denied"})
"""The portal has it, this access may not see it."""
REFUSAL_CODES = ACCESS_CODES | frozenset(
    {
        "error_method_not_found",
        "entity_type_not_supported",
        "not_found",
        "error_manifest_is_not_available",
    }
)
"""The portal lacks this entity, or the access does: the other entities load, the run says so."""


class PortalError(RemoteError):
    """The portal answered with an error; the message names the remedy, never the secret."""


def portal_error(
    host: str, connection: str, method: str, status: int, code: str, description: str
) -> PortalError:
    """The error of one refused call, as one sentence with its remedy.

    Args:
        host: the portal.
        connection: the connection's name in the company's rules.
        method: the method that was called.
        status: of the HTTP answer; 200 inside a batch.
        code: as the portal printed it.
        description: as the portal printed it.
    """
    known = plain_code(code, description)
    where = f"{host} refused {method}"
    is_refusal = known in REFUSAL_CODES
    is_connection_wide = known in PORTAL_CODES
    if known in _REMEDIES:
        remedy = _REMEDIES[known].format(connection=connection)
    elif status in (401, 403):
        remedy = _REMEDIES["invalid_credentials"].format(connection=connection)
        # 403 may be about this one method.
        is_connection_wide, is_refusal = status == 401, status == 403
    else:
        said = (description or code or f"HTTP {status}").rstrip(".")
        return PortalError(f"{where}: {said} (code {code or status}); {ASK}", known)
    return PortalError(
        f"{where} ({code or status}): {remedy}",
        known,
        is_refusal=is_refusal,
        is_connection_wide=is_connection_wide,
    )


def plain_code(code: str, description: str) -> str:
    """The code in lower case, or what the description says where the code says nothing."""
    known, said = code.casefold(), description.casefold()
    if known not in _REMEDIES and said.startswith("access denied"):
        # Classic methods put no code beside it (vendor's page crm-contact-list).
        return "access_denied"
    if known not in _REMEDIES and "not found or not accessible" in said:
        # Tasks put ERROR_CORE beside it, as beside every failure of theirs.
        return "not_found"
    return known


ASK = (
    "run again, and if it stays, show this line to the portal's administrator or report it to "
    "callfunnel's developers."
)
_SCOPES = "crm, user, department, telephony and task"
_NEW_WEBHOOK = (
    "the webhook of connection '{connection}' is unknown, revoked or expired; make a new one in "
    "the portal and put its address into the secrets (an application: make authorise)."
)
_REMEDIES: Mapping[str, str] = {
    "invalid_credentials": _NEW_WEBHOOK,
    "no_auth_found": _NEW_WEBHOOK,
    "invalid_token": _NEW_WEBHOOK,
    "expired_token": (
        "the access of connection '{connection}' has expired; make a new webhook in the portal "
        "and put its address into the secrets, or authorise the application anew."
    ),
    "insufficient_scope": (
        f"the access of connection '{{connection}}' lacks a scope; give it {_SCOPES} in the portal."
    ),
    "user_access_error": (
        "the user behind the webhook of connection '{connection}' has no access; make the webhook "
        "as an administrator."
    ),
    "access_denied": (
        "the portal's plan has no REST API, or the webhook's user of connection '{connection}' "
        "lacks a right (for calls: Call statistics, View); use a commercial plan and an "
        "administrator's webhook."
    ),
    "error_method_not_found": (
        "the portal does not know this method; check that the address of connection "
        f"'{{connection}}' is a Bitrix24 webhook and that its scopes include {_SCOPES}."
    ),
    "error_manifest_is_not_available": (
        "the portal does not offer this method; check that the scopes of connection "
        f"'{{connection}}' include {_SCOPES}."
    ),
    "entity_type_not_supported": (
        "the portal has no such entity; where it is a smart process, correct smart_processes of "
        "connection '{connection}' in company.toml."
    ),
    "not_found": (
        "the portal has no such entity; where it is a smart process, correct smart_processes of "
        "connection '{connection}' in company.toml."
    ),
    "overload_limit": (
        "the vendor has blocked the portal's REST API for overload; ask Bitrix24's support to "
        "lift it, then run again."
    ),
    "portal_deleted": (
        "the portal of connection '{connection}' was deleted; remove the connection from the "
        "company's rules or correct the address."
    ),
    "invalid_request": (
        "the portal wants https; correct the webhook address of connection '{connection}'."
    ),
    "payment_required": (
        "the application of connection '{connection}' is not paid in the portal; pay for it or "
        "use a webhook."
    ),
}
