"""What can go wrong while an entity of Bitrix24 is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.faults.bitrix24.entities import DETAILED, READS
from tests.support.faults.plans import Fault, Outcome, catalogue
from tests.support.faults.stages import STAGES, Stage

_PAGED = {"statuses", *DETAILED, *(name for name, read in READS.items() if read.in_cut)}

_CONNECTION_WIDE = ("overload", "expired_token", "reset", "half_body")


def _fault(name: str, outcome: Outcome = "passes", **rule: Any) -> Fault:
    return Fault(
        name,
        rule,
        outcome,
        of_commands=rule["action"] in ("operation_limit", "error", "command_error"),
        is_connection_wide=rule["action"] in _CONNECTION_WIDE,
    )


_DENIALS: Mapping[str, tuple[Outcome, int, str | int, str]] = {
    "access_denied": ("refused", 403, "ACCESS_DENIED", "Access denied!"),
    "insufficient_scope": ("refused", 403, "insufficient_scope", "Higher privileges are needed"),
    "denied_without_a_code": ("refused", 400, "", "Access denied."),
    "code_zero": ("raises", 400, 0, "Something went wrong"),
}

FAULTS: Mapping[str, Fault] = catalogue(
    _fault("query_limit", action="query_limit", times=2),
    _fault("operation_limit", action="operation_limit", seconds=1),
    _fault("server_error", action="server_error", times=2),
    _fault("bad_gateway", action="bad_gateway", times=2),
    _fault("html", action="html", times=2),
    _fault("not_json", action="not_json", times=2),
    _fault("half_body", action="half_body", times=2),
    _fault("reset", action="reset", times=2),
    _fault("delay", action="delay", seconds=0.2),
    Fault(
        "expired_token",
        {"action": "expired_token"},
        is_connection_wide=True,
        is_application=True,
    ),
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
LASTING: Mapping[str, Fault] = catalogue(
    *(
        _fault(f"{action}_for_good", "raises", action=action, times="forever")
        for action in ("server_error", "bad_gateway", "html", "not_json", "half_body", "reset")
    )
)
"""What passes, when it does not."""


def place(fault: Fault, entity: str, stage: Stage) -> dict[str, Any]:
    """The first request, or the second command, that reads the entity's rows."""
    read = READS[entity]
    # Counting stands before reading: two commands of one request.
    before = read.in_cut if fault.of_commands else min(read.in_cut, 1)
    is_batched = read.is_batched[STAGES.index(stage)]
    second = 1 if fault.of_commands and is_batched and entity in _PAGED else 0
    return {"method": read.method, "where": dict(read.where), "nth": before + 1 + second}


def befalls(fault: Fault, entity: str, stage: Stage) -> bool:
    """Whether there is a request that it can befall."""
    return fault.rule["action"] != "command_error" or READS[entity].is_batched[STAGES.index(stage)]
