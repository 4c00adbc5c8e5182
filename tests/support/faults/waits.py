"""A clock that jumps where somebody would sleep."""

from __future__ import annotations

import time


class Waits:
    """In place of the module `time`.

    Attributes:
        seconds: slept so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        """Be there at once."""
        self.seconds += seconds

    def monotonic(self) -> float:
        """The time as whoever slept sees it."""
        return time.monotonic() + self.seconds
