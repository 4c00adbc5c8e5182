"""What a load asks of a portal first: its clock, its counts, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sources.bitrix24 import Bitrix24Client, Bitrix24Connector, PortalError
from sources.bitrix24.client import Answer, MethodBlockedError
from sources.bitrix24.lists import IdList
from sources.connection import Reported
from sources.demo.access import Webhook
from sources.demo.faults import FaultPlan
from sources.demo.methods import SCOPES, MethodError
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import NOON, at, call_row, deal_row, history_row, make_portal

SERVED = tuple[Portal, str]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SERVED]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        portal = Portal(store, code="t0psecret")
        with serve_in_thread(portal) as address:
            yield portal, address


def connector(served: SERVED, *smart_processes: int) -> Bitrix24Connector:
    return Bitrix24Connector(
        Bitrix24Client(served[1], "shop", requests_per_second=0), "shop", smart_processes
    )


# The cut


def test_the_cut_takes_one_batch_beside_the_clock(served: SERVED) -> None:
    portal, _ = served
    cut = connector(served, 177).cut()
    assert portal.requests == 2
    assert (portal.calls["server.time"], portal.calls["batch"]) == (1, 1)
    assert cut.at == NOON.replace(day=3)


def test_more_lists_than_a_batch_takes_are_counted_too(served: SERVED) -> None:
    portal, _ = served
    numbers = tuple(range(200, 230))
    item = {"CREATED_TIME": at(0), "STAGE_ID": "NEW"}
    portal.store.insert("smart_item", [{"ID": n, "ENTITY_TYPE_ID": n, **item} for n in numbers])
    cut = connector(served, *numbers).cut()
    assert {cut.reported[f"smart_items_{n}"] for n in (200, 229)} == {
        Reported(1, 200, 200),
        Reported(1, 229, 229),
    }
    assert portal.calls["batch"] == 2


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    return slept


def stop(portal: Portal, method: str, **rule: Any) -> None:
    rule = {"method": method, "action": "operation_limit", "seconds": 40, **rule}
    portal.fault_plan = FaultPlan([rule])


def test_a_stopped_method_is_counted_when_it_goes_on_and_the_others_at_once(
    served: SERVED, naps: list[float]
) -> None:
    portal, _ = served
    portal.store.insert("contact", [{"ID": 3, "NAME": "Vera"}])
    portal.store.insert("deal", [deal_row(1)])
    stop(portal, "crm.contact.list")
    asked = connector(served)
    cut = asked.cut()
    assert cut.waiting == {"contacts"}
    assert cut.reported["deals"] == Reported(1, 1, 1)
    assert naps == []
    stop(portal, "crm.contact.list")
    complete = asked.count_waiting(cut)
    assert len(naps) == 1
    assert naps[0] > 30
    assert complete.at == cut.at
    assert complete.waiting == frozenset()
    assert complete.reported == {**cut.reported, "contacts": Reported(1, 3, 3)}


def test_lists_that_share_a_stopped_method_wait_together(served: SERVED, naps: list[float]) -> None:
    portal, _ = served
    stop(portal, "crm.item.list")
    cut = connector(served, 177).cut()
    assert cut.waiting == {"invoices", "smart_items_177"}


def test_a_stopped_batch_is_waited_for(
    served: SERVED, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = connector(served)
    answer = asked.client.call_unless_blocked
    stopped = iter([True, True])

    def once_more(method: str, parameters: dict[str, Any] | None = None) -> Answer:
        if method == "batch" and next(stopped, False):
            raise MethodBlockedError("batch", 40)
        return answer(method, parameters)

    monkeypatch.setattr(asked.client, "call_unless_blocked", once_more)
    assert asked.cut().waiting == frozenset()
    assert naps == [40]


def test_rows_are_counted_up_to_the_newest_id_in_the_same_request(served: SERVED) -> None:
    portal, _ = served
    portal.store.insert("deal", [deal_row(n) for n in (5, 6, 90)])
    portal.store.insert("stage_history", [history_row(n, 5, n, "NEW") for n in range(7, 67)])
    portal.store.insert("call", [call_row(n, n) for n in (3, 4)])
    portal.store.insert("task", [{"ID": 11, "CREATED_DATE": at(0)}])
    cut = connector(served).cut()
    assert cut.reported["deals"] == Reported(3, 90, 5)
    assert cut.reported["stage_history"] == Reported(60, 66, 7)
    assert cut.reported["calls"] == Reported(2, 4, 3)
    assert cut.reported["tasks"] == Reported(1, 11, 11)
    assert cut.refused == {}


def test_an_empty_portal_is_counted_as_empty(served: SERVED) -> None:
    cut = connector(served).cut()
    assert set(cut.reported.values()) == {Reported(0, 0, None)}
    assert cut.reported.keys() == connector(served).lists.keys()


def test_what_a_webhook_may_not_read_is_refused_by_name(served: SERVED) -> None:
    portal, _ = served
    portal.scopes = tuple(scope for scope in SCOPES if scope not in ("telephony", "task"))
    portal.store.insert("deal", [deal_row(1)])
    cut = connector(served).cut()
    assert cut.refused.keys() == {"tasks", "calls"}
    assert "refused voximplant.statistic.get (insufficient_scope)" in cut.refused["calls"]
    assert "telephony" in cut.refused["calls"]
    assert cut.reported.keys() == connector(served).lists.keys() - {"tasks", "calls"}
    assert cut.reported["deals"].rows == 1


def test_a_smart_process_that_is_not_there_is_refused_with_its_remedy(served: SERVED) -> None:
    cut = connector(served, 177).cut()
    assert cut.refused.keys() == {"smart_items_177"}
    assert "correct smart_processes of connection 'shop'" in cut.refused["smart_items_177"]


def test_a_user_without_the_right_to_see_calls_is_refused(served: SERVED) -> None:
    portal, address = served
    limited = Webhook(7, "other", calls="none")
    portal.webhooks.append(limited)
    at_limited = address.partition("/rest/")[0] + limited.path
    cut = connector((portal, at_limited)).cut()
    assert cut.refused.keys() == {"calls"}
    assert "Call statistics, View" in cut.refused["calls"]


def test_an_invalid_webhook_is_told_in_one_sentence(served: SERVED) -> None:
    wrong = served[1].replace("t0psecret", "another")
    with pytest.raises(PortalError) as refused:
        connector((served[0], wrong)).cut()
    message = str(refused.value)
    assert message == (
        "127.0.0.1 refused server.time (INVALID_CREDENTIALS): the webhook of connection 'shop' is "
        "unknown, revoked or expired; make a new one in the portal and put its address into the "
        "secrets (an application: make authorise)."
    )
    assert refused.value.is_connection_wide


def test_a_list_that_cannot_be_counted_does_not_keep_the_others_from_being_read(
    served: SERVED,
) -> None:
    portal, _ = served
    portal.faults["crm.company.list"] = [MethodError(400, "INVALID_ARG_VALUE", "Invalid filter")]
    cut = connector(served).cut()
    assert list(cut.failed) == ["companies"]
    assert "refused crm.company.list: Invalid filter" in cut.failed["companies"]
    assert "companies" not in cut.reported
    assert cut.reported["deals"] == Reported(0, 0, None)


def test_a_recount_goes_up_to_the_same_ids(served: SERVED) -> None:
    portal, _ = served
    portal.store.insert("deal", [deal_row(n) for n in range(1, 11)])
    portal.store.insert("call", [call_row(1, 1)])
    shop = connector(served)
    cut = shop.cut()
    portal.store.delete("deal", 4)
    portal.store.insert("deal", [deal_row(11)])
    portal.store.insert("call", [call_row(2, 2)])
    counted = shop.recount(cut, ["deals"])
    assert counted.reported["deals"] == Reported(9, 10, 1)
    assert counted.reported["calls"] == cut.reported["calls"]
    assert counted.at == cut.at


# Entities and ids


def test_entities_come_in_loading_order(served: SERVED) -> None:
    entities = connector(served, 177).entities
    names = [entity.name for entity in entities]
    assert len(names) == len(set(names))
    assert names[0] == "users"
    for earlier, later in (
        ("contacts", "deals"),
        ("leads", "deals"),
        ("deals", "stage_history"),
        ("deals", "activities"),
        ("smart_items_177", "activities"),
        ("activities", "activity_bindings"),
    ):
        assert names.index(earlier) < names.index(later)
    assert {entity.name for entity in entities if entity.is_core} == {
        "users",
        "categories",
        "statuses",
        "deals",
        "stage_history",
    }


def test_smart_processes_share_a_table_and_are_told_apart(served: SERVED) -> None:
    found = {entity.name: entity for entity in connector(served, 177, 181).entities}
    assert found["smart_items_177"].table == found["smart_items_181"].table == "smart_items"
    assert found["smart_items_181"].condition == "entity_type_id = 181"
    assert found["smart_items_181"].sweep_days == 7


def test_all_ids_up_to_one_come_without_the_rows(served: SERVED) -> None:
    portal, _ = served
    portal.store.insert("deal", [deal_row(n) for n in range(1, 301) if n % 7])
    shop = connector(served)
    ids = shop.ids("deals", 250)
    assert sorted(ids.to_pylist()) == [n for n in range(1, 251) if n % 7]
    shop.close()


def test_no_ids_are_an_empty_list(served: SERVED) -> None:
    shop = connector(served)
    assert shop.ids("calls", 0).to_pylist() == []
    assert shop.ids("calls", 50).to_pylist() == []
    shop.close()


def test_a_row_without_a_readable_id_is_among_the_ids_as_null(
    served: SERVED, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, _ = served
    portal.store.insert("deal", [deal_row(n) for n in (1, 2, 3)])
    rows = IdList.rows

    def spoilt(self: IdList, result: object) -> list[object]:
        found = rows(self, result)
        return [{**row, "ID": "x"} if row["ID"] == "2" else row for row in found]

    monkeypatch.setattr(IdList, "rows", spoilt)
    shop = connector(served)
    ids = shop.ids("deals", 3)
    assert sorted(ids.drop_null().to_pylist()) == [1, 3]
    assert ids.null_count == 1
    shop.close()
