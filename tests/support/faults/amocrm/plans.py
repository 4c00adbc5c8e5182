"""What can go wrong while an entity of amoCRM is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.faults.amocrm.entities import READS
from tests.support.faults.plans import Fault, Outcome, catalogue
from tests.support.faults.stages import Stage


def _fault(
    name: str, outcome: Outcome = "passes", *, is_connection_wide: bool = False, **rule: Any
) -> Fault:
    return Fault(name, rule, outcome, is_connection_wide=is_connection_wide)


def _problem(name: str, status: int, outcome: Outcome = "passes", **more: Any) -> Fault:
    told = {"action": "error", "status": status, "description": "Said in any language"}
    return _fault(name, outcome, **told, **more)


FAULTS: Mapping[str, Fault] = catalogue(
    _fault("too_many_requests", action="query_limit"),
    _fault("too_many_requests_for_long", action="query_limit", times=2),
    _fault("server_error", action="server_error", times=2),
    _fault("bad_gateway", action="bad_gateway", times=2),
    _problem("unavailable", 503, times=2),
    _problem("gateway_timeout", 504, times=2),
    _fault("html", action="html", times=2),
    _fault("not_json", action="not_json", times=2),
    _fault("half_body", action="half_body", times=2),
    _fault("reset", action="reset", times=2),
    _fault("delay", action="delay", seconds=0.2),
    # The frame of these says the page that was asked for.
    _fault("first_page_again", action="misread", parameters={"page": 1}),
    _fault("last_page_again", action="misread", parameters={"page": 3}),
    _fault("no_rows_where_some_are", action="misread", parameters={"page": 9_999}),
    Fault("expired_token", {"action": "expired_token"}, is_application=True),
    _fault("blocked", "raises", action="overload", is_connection_wide=True),
    _fault("revoked_token", "raises", action="expired_token", is_connection_wide=True),
    _problem("unpaid", 402, "raises", is_connection_wide=True),
    _problem("forbidden", 403, "refused"),
    _problem("not_found", 404, "refused"),
    _problem("bad_request", 400, "raises"),
    _fault("fifty_rows", "raises", action="misread", parameters={"limit": 50}),
)
LASTING: Mapping[str, Fault] = catalogue(
    *(
        _fault(
            f"{name}_for_good",
            "raises",
            is_connection_wide=name in ("too_many_requests", "half_body", "reset"),
            **{**FAULTS[name].rule, "times": "forever"},
        )
        for name in (
            "too_many_requests",
            "server_error",
            "bad_gateway",
            "unavailable",
            "html",
            "not_json",
            "half_body",
            "reset",
            "first_page_again",
            "last_page_again",
            "no_rows_where_some_are",
        )
    ),
    Fault(
        "expired_token_for_good",
        {"action": "expired_token", "times": "forever"},
        "raises",
        is_connection_wide=True,
        is_application=True,
    ),
)
"""What passes, when it does not."""


def place(fault: Fault, entity: str, stage: Stage) -> dict[str, Any]:
    """The first request that reads rows; of lists the second page, asked for to find the last."""
    read = READS[entity]
    if not read.is_paged:
        return {"method": read.path, "where": dict(read.where)}
    return {"method": read.path, "where": {**read.where, "page": "2"}, "nth": 2}


def befalls(fault: Fault, entity: str, stage: Stage) -> bool:
    """Whether there is a request that it can befall."""
    if fault.rule["action"] != "misread":
        return True
    return READS[entity].is_paged and not (fault.name == "fifty_rows" and READS[entity].of_fifty)
