"""What the doctor says of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        item: what was looked at.
        status: a problem keeps runs from going through, or reports from being right; a warning
            may be meant so.
        says: what is there; of a warning or problem also what to do.
    """

    item: str
    status: Status
    says: str
