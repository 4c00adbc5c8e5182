"""The demo portal: Bitrix24's REST on loopback, behind it a store (invented company or replay).

Faithful where clients depend on it: webhooks with their rights and OAuth, 50-row pages with `next`
and `total`, `start=-1`, batch with `$result` references and `[]` for empty maps, the `time` block,
the leaky bucket and the working time of methods, both to be switched on, and a virtual clock that
stands still until it is moved. `sources.demo.application` puts it on HTTP.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sources.demo.access import Access, Webhook
from sources.demo.faults import Error, FaultPlan, Misread, OperationLimit
from sources.demo.limiter import LeakyBucket, OperatingTime
from sources.demo.methods import (
    LISTS,
    METHODS,
    MICROSECONDS,
    SCOPES,
    MethodError,
    Page,
    call_list,
    call_object,
    portal_time,
)
from sources.demo.oauth import OAuthServer
from sources.demo.parameters import parse_query, resolve
from sources.demo.store import PortalStore

BATCH_SIZE = 50
_SUFFIX = re.compile(r"\.(json|xml)$")


class OperationTimeLimit(MethodError):
    """A method has worked too long; `reset_in_seconds` until it may be called again."""

    def __init__(self, reset_in_seconds: float) -> None:
        super().__init__(
            429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."
        )
        self.reset_in_seconds = reset_in_seconds


@dataclass
class Portal:
    """One portal: its store, who may call it, and the switches tests use.

    Attributes:
        store: the records.
        user_id: the main webhook's user, part of its address.
        code: the main webhook's secret.
        scopes: what the main webhook may do; a method outside answers `insufficient_scope`.
        bucket: the request limit; None admits everything.
        faults: method name to a queue of errors it answers first.
        calls: how often each method was called (inside a batch too).
        requests: how many requests came with valid credentials.
        webhooks: further webhooks, with rights of their own.
        oauth: the application and its authorisation server; None knows no tokens.
        fault_plan: what goes wrong on schedule.
        overloaded: the vendor has blocked the portal: every request is answered OVERLOAD_LIMIT.
        command_seconds: server work of each command; the answer takes that time.
        count_seconds: work in addition where rows are counted for `total`.
        operating_limit_seconds: a method that has worked so long in ten minutes is refused with
            429 until the oldest minute has left (vendor's example: 480); None never.
        operating: seconds of server work so far, by method.
        baskets: the working time of the last ten minutes.
    """

    store: PortalStore
    user_id: int = 1
    code: str = field(default="demo", repr=False)
    scopes: tuple[str, ...] = SCOPES
    bucket: LeakyBucket | None = None
    faults: dict[str, list[MethodError]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    webhooks: list[Webhook] = field(default_factory=list)
    oauth: OAuthServer | None = None
    fault_plan: FaultPlan | None = None
    overloaded: bool = False
    command_seconds: float = 0.0
    count_seconds: float = 0.0
    operating_limit_seconds: float | None = None
    operating: Counter[str] = field(default_factory=Counter)
    baskets: OperatingTime = field(default_factory=OperatingTime)

    def webhook(self, user_id: int, code: str) -> Webhook | None:
        """The webhook of an address."""
        for webhook in (Webhook(self.user_id, self.code, self.scopes), *self.webhooks):
            if (webhook.user_id, webhook.code) == (user_id, code):
                return webhook
        return None


@dataclass(frozen=True)
class Command:
    """A method and its parameters, as a request of its own or as a command of a batch."""

    method: str
    parameters: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Command:
        """`method?percent-encoded query`, as it stands in a batch."""
        name, _, query = text.partition("?")
        return cls(method_name(name.strip("/")), parse_query(query))


def method_name(written: str) -> str:
    """A method as it stands in an address: any case, with or without its suffix."""
    return _SUFFIX.sub("", written).lower()


def batch_commands(parameters: Mapping[str, Any]) -> dict[str, Command]:
    """The commands of a batch by their keys.

    Raises:
        MethodError: `cmd` is neither a map nor a list.
    """
    commands = parameters.get("cmd") or {}
    if isinstance(commands, list):
        commands = {str(position): command for position, command in enumerate(commands)}
    if not isinstance(commands, Mapping):
        raise MethodError(400, "INVALID_ARG_VALUE", "Parameter 'cmd' must be array.")
    return {str(key): Command.parse(str(command)) for key, command in commands.items()}


class Answering:
    """One request being answered, at one instant of the portal's clock.

    Attributes:
        seconds: the server work done for it.
    """

    def __init__(self, portal: Portal, access: Access) -> None:
        self.portal = portal
        self.access = access
        self.seconds = 0.0
        self._clock = int(portal.store.meta("clock", 0))
        printed = portal_time(portal.store, self._clock)
        self._printed = printed[:19] + printed[-6:]

    def single(self, command: Command) -> dict[str, Any]:
        """The body of a request of one method.

        Raises:
            MethodError: the method refuses.
        """
        page = self._run(command, in_batch=False)
        body: dict[str, Any] = {"result": page.result}
        if command.method in LISTS:
            if page.next is not None:
                body["next"] = page.next
            body["total"] = page.total
        body["time"] = self.time(command.method, self.seconds)
        return body

    def batch(self, commands: Mapping[str, Command], *, halt: bool) -> dict[str, Any]:
        """The body of a batch: HTTP 200 also when every command fails."""
        self.portal.calls["batch"] += 1
        answers: dict[str, dict[str, Any]] = {
            name: {}
            for name in ("result", "result_error", "result_total", "result_next", "result_time")
        }
        reset_in_seconds = 0.0
        for position, (key, command) in enumerate(commands.items()):
            worked = self.seconds
            try:
                page = self._batched(position, command, answers["result"])
            except MethodError as error:
                answers["result_error"][key] = {
                    "error": error.code,
                    "error_description": error.description,
                }
                if isinstance(error, OperationTimeLimit):
                    reset_in_seconds = max(reset_in_seconds, error.reset_in_seconds)
                    answers["result_time"][key] = self.time(
                        command.method, 0.0, error.reset_in_seconds
                    )
                if halt:
                    break
                continue
            answers["result"][key] = page.result
            answers["result_total"][key] = page.total
            answers["result_time"][key] = self.time(command.method, self.seconds - worked)
            if page.next is not None:
                answers["result_next"][key] = page.next
        return {
            # PHP prints an empty map as a list.
            "result": {name: answer or [] for name, answer in answers.items()},
            # Where commands were blocked, the outer block says when the last of them is free.
            "time": self.time("batch", self.seconds, reset_in_seconds or None),
        }

    def time(
        self, method: str, seconds: float, reset_in_seconds: float | None = None
    ) -> dict[str, Any]:
        """The `time` block of every answer, on the virtual clock.

        Args:
            method: whose working time is told.
            seconds: the work for this answer.
            reset_in_seconds: when part of the working time is free again; None asks the baskets.
        """
        now = self._clock / MICROSECONDS
        baskets, account = self.portal.baskets, self.access.account
        if reset_in_seconds is None:
            reset_in_seconds = baskets.reset_in_seconds(account, method)
        return {
            "start": now,
            "finish": now,
            "duration": seconds,
            "processing": seconds,
            "date_start": self._printed,
            "date_finish": self._printed,
            # Rounded up: a client that waits until then must not come a moment too early.
            "operating_reset_at": math.ceil(now + reset_in_seconds),
            "operating": round(baskets.seconds(account, method), 6),
        }

    def _batched(self, position: int, command: Command, results: Mapping[str, Any]) -> Page:
        if position >= BATCH_SIZE:
            raise MethodError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        if command.method == "batch":
            raise MethodError(
                405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"
            )
        return self._run(
            Command(command.method, resolve(command.parameters, results)), in_batch=True
        )

    def _run(self, command: Command, *, in_batch: bool) -> Page:
        portal, method = self.portal, command.method
        portal.calls[method] += 1
        if portal.faults.get(method):
            raise portal.faults[method].pop(0)
        command = self._meet_planned_fault(command, in_batch)
        limit = portal.operating_limit_seconds
        account = self.access.account
        if limit is not None and portal.baskets.seconds(account, method) >= limit:
            raise OperationTimeLimit(portal.baskets.reset_in_seconds(account, method))
        page = self._page(command)
        seconds = portal.command_seconds + (portal.count_seconds if page.counted else 0.0)
        if seconds:
            portal.baskets.add(account, method, seconds)
            portal.operating[method] += seconds  # type: ignore[assignment]
            self.seconds += seconds
        return page

    def _page(self, command: Command) -> Page:
        method = command.method
        if method == "server.time":
            return Page(portal_time(self.portal.store, self._clock), 0, None)
        if method == "scope":
            return Page(list(self.access.scopes), 0, None)
        if method not in METHODS:
            raise MethodError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        scope = METHODS[method]
        if scope is not None:
            self.access.check(method, scope)
        if method in LISTS:
            return call_list(self.portal.store, method, command.parameters, self.access.restrict)
        return call_object(
            self.portal.store,
            method,
            command.parameters,
            user_id=self.access.user_id,
            scopes=self.access.scopes,
            is_admin=self.access.is_admin,
        )

    def _meet_planned_fault(self, command: Command, in_batch: bool) -> Command:
        """The command as it is read."""
        plan = self.portal.fault_plan
        rule = plan and plan.for_command((command.method, command.parameters), in_batch=in_batch)
        if isinstance(rule, OperationLimit):
            raise OperationTimeLimit(rule.seconds)
        if isinstance(rule, Error):
            raise MethodError(rule.status, rule.code, rule.description)
        if isinstance(rule, Misread):
            return Command(command.method, rule.misread(command.parameters))
        return command
