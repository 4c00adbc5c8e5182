"""What can go wrong while an entity is read, and what a load must make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.faults.entities import CORE, DETAILED, READS
from tests.support.faults.portal import STAGES, Stage

Outcome = Literal["passes", "raises", "refused"]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong while one entity is read.

    Attributes:
        name: of the test.
        rule: the fault plan's rule without its place.
        outcome: what the load makes of it: nothing, an error, or, where no report needs the
            entity, a load of all the others that says so.
        of_commands: whether the plan counts commands, not requests.
        is_application: the portal is read by an application with tokens.
    """

    name: str
    rule: Mapping[str, Any]
    outcome: Outcome = "passes"
    of_commands: bool = False
    is_application: bool = False

    def rules(self, entity: str, stage: Stage) -> dict[str, Any]:
        """The rule at the first request, or the second command, that reads the entity's rows."""
        read = READS[entity]
        # Counting stands before reading: two commands of one request.
        before = read.in_cut if self.of_commands else min(read.in_cut, 1)
        is_batched = read.is_batched[STAGES.index(stage)]
        second = 1 if self.of_commands and is_batched and entity in _PAGED else 0
        return {
            "method": read.method,
            "where": dict(read.where),
            "nth": before + 1 + second,
            **self.rule,
        }

    @property
    def is_connection_wide(self) -> bool:
        """Whether the first one ends the load."""
        return self.rule["action"] in ("overload", "expired_token", "reset", "half_body")

    @property
    def is_told(self) -> bool:
        """Whether the load says so of the entity and reads the others."""
        return self.outcome != "passes" and not self.is_connection_wide

    def outcome_for(self, entity: str) -> Outcome:
        """What a load makes of it where it is this entity's."""
        if self.outcome == "refused" and entity in CORE:
            return "raises"
        if self.of_commands and self.outcome == "raises" and entity in DETAILED:
            return "refused"  # one owner of many: told, and asked again by the next load
        return self.outcome

    def befalls(self, entity: str, stage: Stage) -> bool:
        """Whether there is a request that it can befall."""
        is_batched = READS[entity].is_batched[STAGES.index(stage)]
        return self.rule["action"] != "command_error" or is_batched


_PAGED = {"statuses", *DETAILED, *(name for name, read in READS.items() if read.in_cut)}


def _fault(name: str, outcome: Outcome = "passes", **rule: Any) -> Fault:
    of_commands = rule["action"] in ("operation_limit", "error", "command_error")
    return Fault(name, rule, outcome, of_commands)


_DENIALS: Mapping[str, tuple[Outcome, int, str | int, str]] = {
    "access_denied": ("refused", 403, "ACCESS_DENIED", "Access denied!"),
    "insufficient_scope": ("refused", 403, "insufficient_scope", "Higher privileges are needed"),
    "denied_without_a_code": ("refused", 400, "", "Access denied."),
    "code_zero": ("raises", 400, 0, "Something went wrong"),
}

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        _fault("query_limit", action="query_limit", times=2),
        _fault("operation_limit", action="operation_limit", seconds=1),
        _fault("server_error", action="server_error", times=2),
        _fault("bad_gateway", action="bad_gateway", times=2),
        _fault("html", action="html", times=2),
        _fault("not_json", action="not_json", times=2),
        _fault("half_body", action="half_body", times=2),
        _fault("reset", action="reset", times=2),
        _fault("delay", action="delay", seconds=0.2),
        Fault("expired_token", {"action": "expired_token"}, is_application=True),
        _fault("overload", "raises", action="overload"),
        _fault("expired_webhook", "raises", action="expired_token"),
        *(
            _fault(
                f"{action}_{name}",
                outcome,
                action=action,
                status=status,
                code=code,
                description=description,
            )
            for action in ("error", "command_error")
            for name, (outcome, status, code, description) in _DENIALS.items()
        ),
    )
}
LASTING: Mapping[str, Fault] = {
    f"{action}_for_good": _fault(f"{action}_for_good", "raises", action=action, times="forever")
    for action in ("server_error", "bad_gateway", "html", "not_json", "half_body", "reset")
}
"""What passes, when it does not."""
