"""Bitrix24's leaky bucket: per portal, drained at a fixed rate, answering 503 when full."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class LeakyBucket:
    """A bucket of `threshold` requests that leaks `drain_per_second` of them.

    The vendor's figures (page limits): 2 per second and 50, on the Enterprise plan 5 and 250.
    `now` may be replaced by a clock that tests move.
    """

    drain_per_second: float = 2.0
    threshold: float = 50.0
    now: Callable[[], float] = time.monotonic
    level: float = 0.0
    _seen_at: float | None = field(default=None, repr=False)

    def admits(self) -> bool:
        """Count one request; false when the bucket would overflow (the request is refused)."""
        moment = self.now()
        if self._seen_at is not None:
            self.level = max(0.0, self.level - (moment - self._seen_at) * self.drain_per_second)
        self._seen_at = moment
        if self.level + 1 > self.threshold:
            return False
        self.level += 1
        return True
