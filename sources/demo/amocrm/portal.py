"""An amoCRM account on loopback, behind it a store (invented company or converted replay).

Faithful where clients depend on it: HAL pages with 204 for empty ones, limits that fall back to 50
rows, parts that come only when asked for, day-long tokens with refreshes that rotate, 7 requests a
second and the block that follows a streak of refusals, and a virtual clock that stands still until
it is moved. `sources.demo.amocrm.application` puts it on HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sources.demo.amocrm.methods import METHODS, Answer
from sources.demo.amocrm.oauth import AmoOAuth
from sources.demo.amocrm.problems import (
    Problem,
    forbidden,
    too_many_requests,
    unauthorized,
    unpaid,
)
from sources.demo.amocrm.store import AmoStore
from sources.demo.amocrm.views import Request
from sources.demo.faults import Error, FaultPlan, Misread, OperationLimit
from sources.demo.limiter import SlidingWindow

BLOCK_AFTER = 20
"""Refusals in a row before the API is blocked. The vendor says "repeatedly" and no figure; whoever
waits a second after a refusal stays far below."""


class Blocked(Exception):
    """The API of the account is blocked: nginx answers, not amoCRM."""


@dataclass
class AmoPortal:
    """One account: its store, who may call it, and the switches tests use.

    Attributes:
        store: the records.
        token: a long-lived token; empty accepts none.
        oauth: an integration with codes and refresh tokens; None knows none.
        bucket: the request limit; None admits everything.
        fault_plan: what goes wrong on schedule.
        is_admin: whether tokens have an administrator's rights; others may not list users.
        block_after: so many refusals by the limit in a row block the API; None never.
        blocked: every request to the API answers 403 with nginx's page, until set to false.
        is_paid: false answers every request to the API with 402.
        full_links: whether links between pages repeat the request's filters, `with` and `limit`;
            clients have been seen to add them, so real ones may not.
        refuses_large_limits: a limit above the maximum is 422, as developers.kommo.com says, in
            place of 50 rows, as clients have met.
        faults: method to a queue of errors it answers first.
        calls: how often each method was called, by address: `leads`, `leads/{id}`.
        requests: how many requests came with a valid token.
        served_at: the account's address without a path; the server writes it.
    """

    store: AmoStore
    token: str = field(default="demo", repr=False)
    oauth: AmoOAuth | None = None
    bucket: SlidingWindow | None = None
    fault_plan: FaultPlan | None = None
    is_admin: bool = True
    block_after: int | None = None
    blocked: bool = False
    is_paid: bool = True
    full_links: bool = True
    refuses_large_limits: bool = False
    faults: dict[str, list[Problem]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    served_at: str = ""
    _refusals: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        """Tokens expire by the account's virtual clock unless the integration has its own."""
        if self.oauth is not None and self.oauth.now is None:
            self.oauth.now = self._now

    def _now(self) -> float:
        return self.store.clock.timestamp()

    def admit(self, token: str) -> None:
        """Let a request to the API in.

        Raises:
            Blocked: the API is blocked, from now on or since long.
            Problem: 401, 402 or 429.
        """
        if self.blocked:
            raise Blocked
        is_known = bool(token) and token == self.token
        if not is_known and not (self.oauth is not None and self.oauth.admits(token)):
            raise unauthorized()
        self.requests += 1
        if not self.is_paid:
            raise unpaid()
        if self.bucket is None or self.bucket.admits():
            self._refusals = 0
            return
        self._refusals += 1
        if self.block_after is not None and self._refusals > self.block_after:
            self.blocked = True
            raise Blocked
        raise too_many_requests()

    def answer(self, path: str, request: Request, written: Mapping[str, Any]) -> Answer:
        """The body of an answer; None is 204 without one.

        Args:
            path: of `METHODS`.
            request: the call.
            written: its parameters as they are written, for the fault plan.

        Raises:
            Problem: the method refuses.
        """
        name, method = method_name(path), METHODS[path]
        self.calls[name] += 1
        if self.faults.get(name):
            raise self.faults[name].pop(0)
        rule = self.fault_plan and self.fault_plan.for_command((name, written), in_batch=False)
        if isinstance(rule, OperationLimit):
            raise too_many_requests()
        if isinstance(rule, Error):
            raise Problem(rule.status, rule.description, title=str(rule.code))
        if method.is_for_admins and not self.is_admin:
            raise forbidden()
        if isinstance(rule, Misread):
            body = method.answer(replace(request, parameters=rule.misread(request.parameters)))
            return body and {**body, **({"_page": int(written["page"])} if "_page" in body else {})}
        return method.answer(request)


def method_name(path: str) -> str:
    """An address of `METHODS` as counters and fault plans name it: `leads/{id}`."""
    return path.replace(":int}", "}")
