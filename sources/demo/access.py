"""Who calls the portal and what they may see: webhooks, and the rights behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from sources.demo.methods import SCOPES, MethodError
from sources.demo.store import PortalStore

CallRight = Literal["all", "own", "none"]
"""The right "Call statistics: View": everybody's calls, the user's own, or a refusal."""

_VISIBLE = {
    "category": '(coalesce("ENTITY_TYPE_ID", 2) <> 2 or "ID" in ({}))',
    "deal": '"CATEGORY_ID" in ({})',
    "stage_history": '"OWNER_ID" in (select "ID" from deal where "CATEGORY_ID" in ({}))',
    "status": '(substr("ENTITY_ID", 1, 10) <> \'DEAL_STAGE\' or "ENTITY_ID" in ({}))',
}
"""What is left of each entity to a user who sees some deal pipelines only."""


@dataclass(frozen=True)
class Access:
    """The rights of one request.

    Attributes:
        user_id: the user in whose name it runs.
        scopes: what the webhook or application may do.
        categories: the deal pipelines the user may read; None is all of them. The rest is left
            out of the lists silently, as the portal does.
        calls: whose calls the user may read.
        account: whose working time it uses.
    """

    user_id: int
    scopes: tuple[str, ...] = SCOPES
    categories: Collection[int] | None = None
    calls: CallRight = "all"
    account: str = field(default="", repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether the user sees everything; administrators do."""
        return self.categories is None and self.calls == "all"

    def check(self, method: str, scope: str) -> None:
        """Refuse a method that needs another scope, or a right the user lacks.

        Raises:
            MethodError: the scope is missing, or the right to see calls.
        """
        if scope not in self.scopes:
            raise MethodError(
                403,
                "insufficient_scope",
                "The request requires higher privileges than provided by the webhook token",
            )
        if method == "voximplant.statistic.get" and self.calls == "none":
            raise MethodError(403, "ACCESS_DENIED", "Access denied!")

    def restrict(self, entity_name: str) -> tuple[list[str], list[Any]]:
        """SQL conditions, with their values, that leave the rows this user may see."""
        if entity_name == "call" and self.calls == "own":
            return ['"PORTAL_USER_ID" = ?'], [self.user_id]
        if self.categories is None or entity_name not in _VISIBLE:
            return [], []
        values: list[Any] = sorted(self.categories)
        if entity_name == "status":
            values = [f"DEAL_STAGE_{number}" if number else "DEAL_STAGE" for number in values]
        return [_VISIBLE[entity_name].format(", ".join("?" * len(values)))], values


@dataclass(frozen=True)
class Webhook:
    """One inbound webhook.

    Attributes:
        user_id: its user, part of its address.
        code: its secret, part of its address.
        scopes: what it may do; a method outside answers `insufficient_scope`.
        categories: as in `Access`.
        calls: as in `Access`.
        expires_at: an instant of the portal's own clock; from then on it is refused.
        expired_status: HTTP status of that refusal.
        expired_code: its code. The vendor's page local-webhooks only says "an authorisation
            error"; `expired_token` and `NO_AUTH_FOUND` are documented for tokens.
    """

    user_id: int
    code: str = field(repr=False)
    scopes: tuple[str, ...] = SCOPES
    categories: Collection[int] | None = None
    calls: CallRight = "all"
    expires_at: dt.datetime | None = None
    expired_status: int = 401
    expired_code: str = "INVALID_CREDENTIALS"

    @property
    def path(self) -> str:
        """The webhook's path on the portal, `/rest/<user id>/<secret>/`."""
        return f"/rest/{self.user_id}/{self.code}/"

    def access(self, store: PortalStore) -> Access:
        """The rights of a request by this webhook.

        Raises:
            MethodError: the webhook has expired.
        """
        if self.expires_at is not None and store.clock >= self.expires_at:
            raise MethodError(self.expired_status, self.expired_code, "Invalid request credentials")
        return Access(
            self.user_id, self.scopes, self.categories, self.calls, f"webhook {self.path}"
        )
