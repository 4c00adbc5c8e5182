"""What every client of a web API needs."""

from __future__ import annotations

import time

import pytest

from sources.web import limiter, wait_for_turn


def test_a_turn_is_waited_for_no_longer_than_the_limit_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    sleep = time.sleep

    def sleeping(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleeping)
    throttle = limiter(20, 1)
    for _ in range(3):
        wait_for_turn(throttle)
    assert 0.04 < sum(slept) <= 0.1
    wait_for_turn(None)
