"""The two states of every account, and what both systems' records have alike."""

from __future__ import annotations

from typing import Literal

Stage = Literal["first", "increment"]
STAGES: tuple[Stage, ...] = ("first", "increment")
FIRST_IDS = range(1, 131)
"""Of every entity but the dictionaries, at the first load."""
LAST_ID = 200
"""Of every entity but the dictionaries, at the second load."""
CHANGED = 30 * 60
"""Minutes after NOON at which everything of the increment happened."""
