"""The portal's limits on a virtual clock, and the time its work really takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.access import Webhook
from sources.demo.limiter import OperatingTime
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import NOON, deal_row, make_portal

CLOCK = NOON.timestamp() + 24 * 3600
"""Where `make_portal` puts the portal's clock."""


@dataclass
class Limited:
    """A portal whose baskets stand on a clock that tests move."""

    portal: Portal
    address: str
    now: list[float] = field(default_factory=lambda: [0.0])

    def ask(self, method: str, parameters: Any = None, status: int = 200) -> dict[str, Any]:
        response = requests.post(self.address + method, json=parameters or {}, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    def batch(self, *commands: str, halt: int = 0) -> dict[str, Any]:
        return self.ask(
            "batch", {"halt": halt, "cmd": {f"c{n}": c for n, c in enumerate(commands)}}
        )


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Limited]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", (deal_row(n) for n in range(1, 61)))
        portal = Portal(store)
        with serve_in_thread(portal) as address:
            limited = Limited(portal, address)
            portal.baskets = OperatingTime(now=lambda: limited.now[0])
            yield limited


# The time work takes


def test_a_command_takes_its_time_and_a_counted_one_more(limited: Limited) -> None:
    limited.portal.command_seconds, limited.portal.count_seconds = 0.1, 0.2
    started = time.monotonic()
    body = limited.ask("crm.deal.list", {"start": -1})
    assert 0.1 <= time.monotonic() - started < 0.25
    assert body["time"]["operating"] == 0.1
    assert body["time"]["duration"] == 0.1

    started = time.monotonic()
    body = limited.ask("crm.deal.list")
    assert 0.3 <= time.monotonic() - started < 0.5
    assert body["time"]["operating"] == pytest.approx(0.4)
    assert limited.portal.operating == {"crm.deal.list": pytest.approx(0.4)}


def test_commands_of_a_batch_work_one_after_the_other(limited: Limited) -> None:
    limited.portal.command_seconds = 0.05
    started = time.monotonic()
    body = limited.batch("crm.deal.list?start=-1", "user.get?start=-1", "crm.deal.list?start=-1")
    assert 0.15 <= time.monotonic() - started < 0.3
    assert {key: block["operating"] for key, block in body["result"]["result_time"].items()} == {
        "c0": 0.05,
        "c1": 0.05,
        "c2": 0.1,
    }
    assert body["time"]["duration"] == pytest.approx(0.15)


def test_requests_work_side_by_side(limited: Limited) -> None:
    limited.portal.command_seconds = 0.3
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(limited.ask, ["server.time"] * 8))
    assert 0.3 <= time.monotonic() - started < 1.2
    assert limited.portal.operating["server.time"] == pytest.approx(2.4)


def test_without_costs_nothing_is_counted(limited: Limited) -> None:
    block = limited.ask("crm.deal.list")["time"]
    assert (block["operating"], block["operating_reset_at"]) == (0, int(CLOCK) + 600)
    assert limited.portal.operating == {}


# The limit of a method's working time


def work(limited: Limited, seconds: float) -> None:
    """Seconds of crm.deal.list by the main webhook, without waiting for them."""
    access = Webhook(1, "demo").access(limited.portal.store)
    limited.portal.baskets.add(access.account, "crm.deal.list", seconds)


def test_the_crossing_call_succeeds_and_the_next_is_refused(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 480
    limited.portal.command_seconds = 0.01
    work(limited, 479.995)
    assert limited.ask("crm.deal.list", {"start": -1})["time"]["operating"] == 480.005

    body = limited.ask("crm.deal.list", {"start": -1}, status=429)
    assert body["error"] == "OPERATION_TIME_LIMIT"
    assert body["error_description"] == "Method is blocked due to operation time limit."
    assert body["time"]["operating"] == 480.005
    assert limited.ask("user.get")["result"], "other methods go on"
    assert limited.portal.operating["crm.deal.list"] == 0.01, "a refused call does no work"


def test_a_method_is_free_again_when_the_oldest_minute_has_left(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 10
    limited.now[0] = 30.0
    work(limited, 6)
    limited.now[0] = 200.0
    work(limited, 6)
    block = limited.ask("crm.deal.list", status=429)["time"]
    # The basket of minute 0 leaves with second 600: in 400 s, on the portal's own clock.
    assert block["operating_reset_at"] - block["finish"] == 400
    limited.now[0] = 599.0
    limited.ask("crm.deal.list", status=429)
    limited.now[0] = 600.0
    block = limited.ask("crm.deal.list")["time"]
    assert block["operating"] == 6
    assert block["operating_reset_at"] - block["finish"] == 180, "minute 3 leaves with second 780"


def test_a_client_that_waits_until_the_reset_is_never_too_early(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 1
    limited.now[0] = 0.7
    work(limited, 1)
    block = limited.ask("crm.deal.list", status=429)["time"]
    limited.now[0] += block["operating_reset_at"] - block["finish"]
    limited.ask("crm.deal.list")


def test_inside_a_batch_only_the_blocked_commands_fail(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 10
    work(limited, 10)
    limited.now[0] = 20.0
    body = limited.batch("user.get", "crm.deal.list", "department.get")
    assert body["result"]["result"].keys() == {"c0", "c2"}
    assert body["result"]["result_error"] == {
        "c1": {
            "error": "OPERATION_TIME_LIMIT",
            "error_description": "Method is blocked due to operation time limit.",
        }
    }
    for block in (body["time"], body["result"]["result_time"]["c1"]):
        assert block["operating_reset_at"] - block["finish"] == 580
    halted = limited.batch("user.get", "crm.deal.list", "department.get", halt=1)
    assert halted["result"]["result"].keys() == {"c0"}


def test_the_limit_may_be_crossed_in_the_middle_of_a_batch(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 0.03
    limited.portal.command_seconds = 0.01
    body = limited.batch(*["crm.deal.list?start=-1"] * 5)["result"]
    assert body["result"].keys() == {"c0", "c1", "c2"}
    assert body["result_error"].keys() == {"c3", "c4"}


def test_every_webhook_has_working_time_of_its_own(limited: Limited) -> None:
    limited.portal.operating_limit_seconds = 10
    limited.portal.webhooks.append(Webhook(1, "other"))
    work(limited, 10)
    limited.ask("crm.deal.list", status=429)
    limited.address = limited.address.replace("demo", "other")
    limited.ask("crm.deal.list")


# Overload


def test_an_overloaded_portal_refuses_everything(limited: Limited) -> None:
    limited.portal.overloaded = True
    documented = {
        "error": "OVERLOAD_LIMIT",
        "error_description": "REST API is blocked due to overload",
    }
    for method in ("server.time", "batch", "crm.deal.list"):
        assert limited.ask(method, status=503) == documented
    limited.portal.overloaded = False
    limited.ask("server.time")
