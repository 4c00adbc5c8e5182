"""What can go wrong while an entity is read, and what a load must make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sources.demo.faults import FaultPlan

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
        is_connection_wide: the first one ends the load.
        is_application: the account is read by an application with tokens.
    """

    name: str
    rule: Mapping[str, Any]
    outcome: Outcome = "passes"
    of_commands: bool = False
    is_connection_wide: bool = False
    is_application: bool = False

    @property
    def is_told(self) -> bool:
        """Whether the load says so of the entity and reads the others."""
        return self.outcome != "passes" and not self.is_connection_wide


def catalogue(*faults: Fault) -> Mapping[str, Fault]:
    """Faults by their names."""
    return {fault.name: fault for fault in faults}


def unfired(plan: FaultPlan) -> list[str]:
    """Rules that befell nothing: such a test would prove nothing."""
    return [
        f"{rule.action} at {rule.method} {rule.where} ({plan._counts[place]} of {rule.nth})"
        for place, rule in enumerate(plan.rules)
        if plan._counts[place] < rule.nth
    ]
