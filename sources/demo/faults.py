"""A plan of faults: what goes wrong, at which request, and how often.

A file (JSON or TOML) of rules, for tests of clients against a portal that misbehaves on schedule:

    [[rules]]
    method = "crm.deal.list"      # a request of it, or a batch with a command of it
    where = {start = "50"}        # optional: top-level parameters, compared as text
    nth = 3                       # the third one that matches; 1 if left out
    times = 2                     # that and the next; 1 if left out, or "forever"
    action = "reset"

`method` is a method of Bitrix24, or for amoCRM an address like `leads`, `leads/{id}` or
`contacts/notes`, whose parameters are taken as they are written: `{"filter[id]" = "5"}`. For
telephony it is the path that is asked, of UIS the method.

Most actions befall a whole request and count requests. `operation_limit`, `error`,
`command_error` and `misread` befall a command: inside a batch they count commands, and the errors
stand in `result_error`.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic

from sources.demo.methods import MethodError
from sources.demo.record_store import Entity, RecordStore, key_values
from sources.demo.store import ENTITIES
from sources.errors import InputError

Command = tuple[str, Mapping[str, Any]]
"""A method and its parameters."""


class Rule(pydantic.BaseModel):
    """When something happens: at the `nth` match of `method` and `where`, `times` times."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    of_commands: ClassVar[bool] = False

    method: str = pydantic.Field(min_length=1)
    where: dict[str, str | int | float | bool] = {}
    nth: int = pydantic.Field(default=1, ge=1)
    times: Annotated[int, pydantic.Field(ge=1)] | Literal["forever"] = 1

    def matches(self, command: Command) -> bool:
        """Whether a command is one of those this rule counts."""
        method, parameters = command
        return method == self.method.lower() and all(
            str(parameters.get(name)) == str(value) for name, value in self.where.items()
        )

    def is_due(self, count: int) -> bool:
        """Whether something happens at the `count`th match."""
        return count >= self.nth and (self.times == "forever" or count < self.nth + self.times)


class Refusal(Rule):
    """The portal refuses the request with an error body."""

    action: Literal["query_limit", "overload", "server_error", "expired_token"]

    def error(self) -> MethodError:
        """What is answered."""
        return MethodError(*_REFUSALS[self.action])


class Broken(Rule):
    """The answer is damaged.

    `bad_gateway` (502) and `html` (200) are pages of HTML; `not_json` is the first half of the
    true answer as if it were whole, `half_body` the same under the full length, then the
    connection ends; `reset` ends it before any answer.
    """

    action: Literal["bad_gateway", "html", "not_json", "half_body", "reset"]


class Delay(Rule):
    """The portal thinks for some seconds first."""

    action: Literal["delay"]
    seconds: float = pydantic.Field(gt=0)


class OperationLimit(Rule):
    """The method's working time is used up, for `seconds`."""

    of_commands: ClassVar[bool] = True
    action: Literal["operation_limit"]
    seconds: int = pydantic.Field(default=60, ge=1)


class Error(Rule):
    """An error of one command; `command_error` leaves requests outside of batches alone."""

    of_commands: ClassVar[bool] = True
    action: Literal["error", "command_error"]
    status: int = pydantic.Field(default=400, ge=400, le=599)
    code: str | int = ""
    description: str = ""


class Misread(Rule):
    """The answer to another question: the command is read with other parameters than were given.

    `{start = 0}` or `{page = 1}` is a page that repeats, whatever page was asked for, `{limit =
    50}` one that is silently shorter. The frame of the answer says what was asked for.
    """

    of_commands: ClassVar[bool] = True
    action: Literal["misread"]
    parameters: dict[str, str | int] = pydantic.Field(min_length=1)

    def misread(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that are answered, as they would stand in a query."""
        return {**given, **{name: str(value) for name, value in self.parameters.items()}}


class Change(Rule):
    """A record is added, changed or deleted just before the request is answered.

    `row` holds stored values by the names of the REST fields; instants as ISO text with an offset.
    """

    action: Literal["insert", "change", "delete"]
    entity: str
    id: int | str | tuple[int | str, ...] | None = None
    row: dict[str, Any] = {}

    @pydantic.model_validator(mode="after")
    def _is_possible(self, info: pydantic.ValidationInfo) -> Change:
        entities: Mapping[str, Entity] = info.context or ENTITIES
        if self.entity not in entities:
            raise ValueError(f"entity must be one of {', '.join(sorted(entities))}")
        entity = entities[self.entity]
        if self.action == "insert" and not self.row.keys() >= set(entity.key):
            raise ValueError(f"row needs its {' and '.join(entity.key)}")
        if self.action != "insert" and self.id is None:
            raise ValueError(f"{self.action} needs an id")
        if self.id is not None and len(key_values(self.id)) != len(entity.key):
            raise ValueError(f"id needs {' and '.join(entity.key)}")
        unknown = self.row.keys() - entity.columns.keys()
        if unknown:
            raise ValueError(f"{self.entity} has no field {', '.join(sorted(unknown))}")
        for name, value in self.row.items():
            if entity.columns[name] == "instant":
                _instant(name, value)
        return self

    def apply(self, store: RecordStore) -> None:
        """Write it into a store that can be written.

        Raises:
            MethodError: the record to be changed is not there.
        """
        entity = store.entities[self.entity]
        row = {
            name: _instant(name, value) if entity.columns[name] == "instant" else value
            for name, value in self.row.items()
        }
        if self.action == "delete" and self.id is not None:
            store.delete(self.entity, self.id)
            return
        if self.action == "change" and self.id is not None:
            present = store.query(
                f'select * from "{self.entity}" where {entity.of_key}', key_values(self.id)
            )
            if not present:
                raise MethodError(
                    500,
                    "INTERNAL_SERVER_ERROR",
                    f"the fault plan changes {self.entity} {self.id}, which is not there",
                )
            row = {**dict(present[0]), **row}
        store.insert(self.entity, [row])


AnyRule = Annotated[
    Refusal | Broken | Delay | OperationLimit | Error | Misread | Change,
    pydantic.Field(discriminator="action"),
]


class _Plan(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    rules: list[AnyRule]


class FaultPlan:
    """Rules with their counters; safe to ask from several threads.

    Attributes:
        rules: in the order given; where two befall one request, the first decides.
        fired: how often each action happened.
    """

    def __init__(
        self,
        rules: Iterable[Mapping[str, Any] | Rule],
        *,
        entities: Mapping[str, Entity] = ENTITIES,
    ) -> None:
        """Take rules, also as maps in the form of the file.

        Args:
            rules: what happens when.
            entities: those that rules may change, of the store behind the portal.

        Raises:
            pydantic.ValidationError: a rule is not possible.
        """
        plan = _Plan.model_validate({"rules": list(rules)}, context=entities)
        self.rules: Sequence[AnyRule] = plan.rules
        self.fired: Counter[str] = Counter()
        self._counts: Counter[int] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path, *, entities: Mapping[str, Entity] = ENTITIES) -> FaultPlan:
        """A plan from a `.toml` or `.json` file.

        Raises:
            InputError: the file is missing, unreadable, or a rule in it is not possible.
        """
        try:
            text = path.read_text(encoding="utf-8")
            given = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
            return cls(_Plan.model_validate(given, context=entities).rules, entities=entities)
        except FileNotFoundError:
            problem = "does not exist; check the path"
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            problem = f"is not a fault plan ({place}: {first['msg']}); correct that rule"
        except ValueError as error:
            problem = f"can't be read ({error}); write it as UTF-8 TOML or JSON"
        raise InputError(f"The fault plan {path} {problem}.")

    @property
    def writes(self) -> bool:
        """Whether the plan changes records, so that the store must be open for writing."""
        return any(isinstance(rule, Change) for rule in self.rules)

    def for_request(self, commands: Sequence[Command]) -> list[AnyRule]:
        """Count a request; the rules that befall it.

        Args:
            commands: the request itself, and where it is a batch, its commands.
        """
        return self._due(
            (position, rule)
            for position, rule in enumerate(self.rules)
            if not rule.of_commands and any(rule.matches(command) for command in commands)
        )

    def for_command(self, command: Command, *, in_batch: bool) -> AnyRule | None:
        """Count a command, or a request of its own; the first rule that befalls it."""
        due = self._due(
            (position, rule)
            for position, rule in enumerate(self.rules)
            if rule.of_commands
            and rule.matches(command)
            and (in_batch or rule.action != "command_error")
        )
        return due[0] if due else None

    def _due(self, matching: Iterable[tuple[int, AnyRule]]) -> list[AnyRule]:
        due = []
        with self._lock:
            for position, rule in matching:
                self._counts[position] += 1
                if rule.is_due(self._counts[position]):
                    self.fired[rule.action] += 1
                    due.append(rule)
        return due


_REFUSALS = {
    "query_limit": (503, "QUERY_LIMIT_EXCEEDED", "Too many requests"),
    "overload": (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload"),
    "server_error": (500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "expired_token": (401, "expired_token", "The access token provided has expired."),
}


def _instant(name: str, value: Any) -> Any:
    """ISO text as an instant; microseconds and nothing stay what they are."""
    instant = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(instant, dt.date) and getattr(instant, "tzinfo", None) is None:
        raise ValueError(f"{name} needs a time and its offset, as in 2026-03-02T12:00:00+03:00")
    return instant
