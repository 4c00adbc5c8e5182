"""Whose portal is it: webhooks that expire, see some pipelines only, or their own calls only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from sources.demo.access import Webhook
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import NOON, call_row, deal_row, history_row, make_portal

EXPIRY = NOON + dt.timedelta(days=2)
LIMITED = Webhook(2, "limited", categories=[1], calls="own")
NOBODY = Webhook(3, "nobody", calls="none")
NARROW = Webhook(4, "narrow", scopes=("user",))
SHORT = Webhook(5, "short", expires_at=EXPIRY)
TOKEN_LIKE = Webhook(6, "odd", expires_at=EXPIRY, expired_code="expired_token")


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Portal, str]]:
    with make_portal(tmp_path_factory.mktemp("portal") / "portal.sqlite") as store:
        store.insert("category", [{"ID": 1, "NAME": "Wholesale", "SORT": 20, "IS_DEFAULT": 0}])
        store.insert(
            "status",
            [
                {"ID": 10, "ENTITY_ID": "DEAL_STAGE_1", "STATUS_ID": "C1:NEW", "NAME": "New"},
                {"ID": 11, "ENTITY_ID": "DEAL_STAGE_10", "STATUS_ID": "C10:NEW", "NAME": "New"},
                {"ID": 12, "ENTITY_ID": "SOURCE", "STATUS_ID": "WEB", "NAME": "Web"},
            ],
        )
        store.insert("deal", (deal_row(n, CATEGORY_ID=n % 2) for n in range(1, 7)))
        store.insert("stage_history", (history_row(n, n, 0, "NEW") for n in range(1, 7)))
        store.insert("call", (call_row(n, n, PORTAL_USER_ID=1 + n % 2) for n in range(1, 5)))
        portal = Portal(store, webhooks=[LIMITED, NOBODY, NARROW, SHORT, TOKEN_LIKE])
        with serve_in_thread(portal) as address:
            yield portal, address


@pytest.fixture
def ask(portal: tuple[Portal, str]) -> Any:
    def call(webhook: Webhook, method: str, status: int = 200, **parameters: Any) -> Any:
        address = urljoin(portal[1], webhook.path) + method
        response = requests.post(address, json=parameters, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    return call


def ids(body: dict[str, Any]) -> list[int]:
    rows = body["result"]
    rows = rows if isinstance(rows, list) else next(iter(rows.values()))
    return [int(row.get("ID", row.get("id"))) for row in rows]


@pytest.mark.parametrize(
    ("method", "parameters", "seen"),
    [
        ("crm.category.list", {"entityTypeId": 2}, [1]),
        ("crm.deal.list", {}, [1, 3, 5]),
        ("crm.deal.list", {"filter": {"CATEGORY_ID": 0}}, []),
        ("crm.deal.list", {"start": -1, "filter": {">ID": 1}}, [3, 5]),
        ("crm.stagehistory.list", {"entityTypeId": 2}, [1, 3, 5]),
        ("crm.status.list", {}, [10, 12]),
        ("voximplant.statistic.get", {}, [1, 3]),
    ],
)
def test_what_a_user_may_not_see_is_left_out_silently(
    ask: Any, method: str, parameters: dict[str, Any], seen: list[int]
) -> None:
    body = ask(LIMITED, method, **parameters)
    assert ids(body) == seen
    assert body["total"] == (len(seen) if parameters.get("start") != -1 else 0)


def test_rights_hold_inside_a_batch_and_leave_others_alone(
    ask: Any, portal: tuple[Portal, str]
) -> None:
    body = ask(LIMITED, "batch", cmd={"deals": "crm.deal.list"})
    assert body["result"]["result_total"] == {"deals": 3}
    everything = requests.post(portal[1] + "crm.deal.list", timeout=10).json()
    assert everything["total"] == 6


def test_without_the_right_to_see_calls_the_statistics_are_refused(ask: Any) -> None:
    assert ask(NOBODY, "voximplant.statistic.get", 403)["error"] == "ACCESS_DENIED"
    assert ask(NOBODY, "crm.deal.list")["total"] == 6


def test_every_webhook_has_scopes_of_its_own(ask: Any) -> None:
    assert ask(NARROW, "scope")["result"] == ["user"]
    assert ask(NARROW, "crm.deal.list", 403)["error"] == "insufficient_scope"


def test_methods_without_pages_know_the_caller_too(ask: Any) -> None:
    assert ask(NARROW, "profile")["result"]["ID"] == "4"
    assert ask(NARROW, "user.current")["result"]["ID"] == "4"
    assert "total" not in ask(LIMITED, "crm.deal.fields")
    assert ask(NARROW, "crm.deal.fields", 403)["error"] == "insufficient_scope"


def test_an_expired_webhook_is_refused(ask: Any, portal: tuple[Portal, str]) -> None:
    store = portal[0].store
    before = store.clock
    try:
        store.clock = EXPIRY - dt.timedelta(seconds=1)
        ask(SHORT, "server.time")
        store.clock = EXPIRY
        assert ask(SHORT, "server.time", 401)["error"] == "INVALID_CREDENTIALS"
        assert ask(TOKEN_LIKE, "server.time", 401)["error"] == "expired_token"
        ask(LIMITED, "server.time")
    finally:
        store.clock = before


def test_a_webhook_of_another_user_is_unknown(ask: Any) -> None:
    assert ask(Webhook(9, "limited"), "user.get", 403)["error"] == "INVALID_CREDENTIALS"
