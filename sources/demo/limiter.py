"""Limits: Bitrix24's leaky bucket (503) and working time (429), amoCRM's sliding window (429)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BASKETS = 10
BASKET_SECONDS = 60


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


@dataclass
class SlidingWindow:
    """At most `requests` within any `seconds`; amoCRM's figures are 7 and 1.

    `now` may be replaced by a clock that tests move.
    """

    requests: int = 7
    seconds: float = 1.0
    now: Callable[[], float] = time.monotonic
    _admitted: deque[float] = field(default_factory=deque, repr=False)

    def admits(self) -> bool:
        """Count one request; false when the window is full (the request is refused)."""
        moment = self.now()
        while self._admitted and self._admitted[0] <= moment - self.seconds:
            self._admitted.popleft()
        if len(self._admitted) >= self.requests:
            return False
        self._admitted.append(moment)
        return True


@dataclass
class OperatingTime:
    """How long each method of each account has worked in the last ten minutes.

    The vendor (page limits) adds the seconds up in ten baskets of a minute; the oldest basket
    leaves when the eleventh minute begins. An account is a webhook or an application.
    `now` may be replaced by a clock (in seconds) that tests move.
    """

    now: Callable[[], float] = time.monotonic
    _baskets: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict, repr=False)

    def add(self, account: str, method: str, seconds: float) -> None:
        """Put seconds of work into the present minute's basket."""
        if seconds > 0:
            basket = self._minute()
            baskets = self._present(account, method)
            baskets[basket] = baskets.get(basket, 0.0) + seconds
            self._baskets[account, method] = baskets

    def seconds(self, account: str, method: str) -> float:
        """The sum of the present baskets."""
        return sum(self._present(account, method).values())

    def reset_in_seconds(self, account: str, method: str) -> float:
        """Seconds until the oldest basket leaves; the whole ten minutes where there is none."""
        baskets = self._present(account, method)
        if not baskets:
            return BASKETS * BASKET_SECONDS
        return (min(baskets) + BASKETS) * BASKET_SECONDS - self.now()

    def _minute(self) -> int:
        return int(self.now() // BASKET_SECONDS)

    def _present(self, account: str, method: str) -> dict[int, float]:
        oldest = self._minute() - BASKETS
        baskets = self._baskets.get((account, method), {})
        return {minute: seconds for minute, seconds in baskets.items() if minute > oldest}
