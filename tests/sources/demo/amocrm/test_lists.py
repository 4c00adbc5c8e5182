"""Pages, limits, filters and orders of the account's lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.server import serve_in_thread
from tests.support.amo_accounts import (
    LOST,
    NEW,
    OLD,
    OLD_NEW,
    SALES,
    TALKS,
    WON,
    client_row,
    lead_row,
    make_account,
    move_row,
    note_row,
    task_row,
)
from tests.support.portals import NOON, at

SECOND = int(NOON.timestamp())
LEADS = 260


@dataclass
class Account:
    """An account and a client of it."""

    portal: AmoPortal
    store: AmoStore
    address: str

    def answer(self, path: str) -> requests.Response:
        address = path if path.startswith("http") else f"{self.address}api/v4/{path}"
        return requests.get(address, headers={"Authorization": "Bearer demo"}, timeout=10)

    def body(self, path: str) -> dict[str, Any]:
        response = self.answer(path)
        assert response.status_code == 200, response.text
        return response.json()

    def rows(self, path: str) -> list[dict[str, Any]]:
        response = self.answer(path)
        if response.status_code == 204:
            assert response.content == b""
            return []
        assert response.status_code == 200, response.text
        (rows,) = response.json()["_embedded"].values()
        return rows

    def ids(self, path: str) -> list[Any]:
        return [row["id"] for row in self.rows(path)]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with make_account(tmp_path / "account.sqlite") as store:
        store.insert(
            "lead",
            (
                lead_row(
                    number,
                    created_at=at(number),
                    updated_at=at(1_000 - number),
                    responsible_user_id=1 + number % 2,
                )
                for number in range(1, LEADS + 1)
            ),
        )
        portal = AmoPortal(store)
        with serve_in_thread(portal) as address:
            yield Account(portal, store, address)


def test_pages_follow_their_links_to_the_end(account: Account) -> None:
    path = "leads?limit=100&order[updated_at]=asc&with=contacts"
    seen, pages = [], []
    while path:
        body = account.body(path)
        seen += [lead["id"] for lead in body["_embedded"]["leads"]]
        pages.append((body["_page"], sorted(body["_links"])))
        path = body["_links"].get("next", {}).get("href", "")
    assert seen == list(range(LEADS, 0, -1))
    assert pages == [
        (1, ["next", "self"]),
        (2, ["first", "next", "prev", "self"]),
        (3, ["first", "prev", "self"]),
    ]
    assert account.portal.calls["leads"] == 3


def test_links_repeat_the_request_or_not(account: Account) -> None:
    path = "leads?limit=2&page=2&with=contacts,loss_reason&filter[responsible_user_id][]=1"
    links = account.body(path)["_links"]
    assert links["next"]["href"] == (
        f"{account.address}api/v4/leads?with=contacts,loss_reason"
        "&filter[responsible_user_id][0]=1&limit=2&page=3"
    )
    account.portal.full_links = False
    links = account.body(path)["_links"]
    assert links["next"]["href"] == f"{account.address}api/v4/leads?page=3"
    assert links["self"]["href"].endswith("&limit=2&page=2")


def test_a_page_after_the_last_and_an_empty_list_have_no_body(account: Account) -> None:
    for path in ("leads?limit=250&page=3", "events", "leads/unsorted", "leads/9999", "tasks/7"):
        response = account.answer(path)
        assert (response.status_code, response.content) == (204, b""), path


def test_a_limit_above_the_maximum_falls_back_to_fifty_rows(account: Account) -> None:
    account.store.insert("event", (move_row(n, 1, n, NEW, TALKS) for n in range(1, 121)))
    asked = ("leads", "leads?limit=250", "leads?limit=251", "events?limit=100", "events?limit=101")
    assert [len(account.rows(path)) for path in asked] == [50, 250, 50, 100, 50]
    account.portal.refuses_large_limits = True
    refused = account.answer("events?limit=250")
    assert (refused.status_code, refused.json()["detail"]) == (422, "Limit 100 per page")


def test_times_are_filtered_inclusively(account: Account) -> None:
    account.store.insert("lead", [lead_row(999, created_at=at(500) + 999_999)])
    second = SECOND + 500 * 60
    between = "leads?filter[created_at][from]={}&filter[created_at][to]={}"
    assert account.ids(between.format(second, second)) == [999]
    assert account.ids(between.format(second + 1, second + 9)) == []
    first, last = SECOND + 60, SECOND + 180
    assert account.ids(between.format(first, last)) == [1, 2, 3]
    assert account.ids(f"leads?filter[created_at][to]={first}") == [1]
    updated = f"leads?filter[updated_at][from]={SECOND + 998 * 60}"
    assert account.ids(updated) == [1, 2]


def test_leads_are_filtered_by_what_they_are(account: Account) -> None:
    account.store.insert(
        "lead",
        [
            lead_row(501, status_id=WON, price=7, closed_at=at(5)),
            lead_row(502, pipeline_id=OLD, status_id=WON, closed_at=at(9)),
            lead_row(503, pipeline_id=OLD, status_id=OLD_NEW, name="Needle"),
        ],
    )
    stage = "filter[statuses][{0}][pipeline_id]={1}&filter[statuses][{0}][status_id]={2}"
    for query, expected in (
        ("filter[id]=3", [3]),
        ("filter[id][]=3&filter[id][]=5", [3, 5]),
        ("filter[id]=3,5", [3, 5]),
        (stage.format(0, SALES, WON), [501]),
        (stage.format(0, SALES, WON) + "&" + stage.format(1, OLD, OLD_NEW), [501, 503]),
        (f"filter[pipeline_id]={OLD}", [502, 503]),
        (f"filter[closed_at][from]={SECOND + 360}", [502]),
        ("filter[price]=7", [501]),
        ("filter[price][from]=1&filter[price][to]=50", [501]),
        ("query=needle", [503]),
        ("filter[only_deleted]=1&filter[id]=4", [4]),
    ):
        assert account.ids(f"leads?{query}") == expected, query
    mine = account.rows("leads?limit=250&filter[responsible_user_id]=2")
    assert {lead["responsible_user_id"] for lead in mine} == {2}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("leads?filter[id]=x", "filter.id"),
        ("leads?filter[updated_at][from]=x", "filter.updated_at.from"),
        ("leads?filter=x", "filter"),
        ("leads?filter[statuses]=142", "filter.statuses"),
        ("leads?order[id]=up", "order.id"),
        ("events?filter[created_by]=1,2,3,4,5,6,7,8,9,10,11", "filter.created_by"),
        ("events?filter[entity_id]=1", "filter.entity"),
        ("events?filter[entity]=lead,contact&filter[entity_id]=1", "filter.entity"),
    ],
)
def test_a_filter_of_the_wrong_form_is_named(account: Account, path: str, place: str) -> None:
    response = account.answer(path)
    assert response.status_code == 400
    assert response.json()["validation-errors"][0]["errors"][0]["path"] == place


def test_orders_break_ties_by_id(account: Account) -> None:
    account.store.insert("lead", [lead_row(n, created_at=at(9_000)) for n in (703, 701, 702)])
    assert account.ids("leads?limit=3&order[created_at]=desc") == [701, 702, 703]
    assert account.ids("leads?limit=2&order[id]=desc") == [703, 702]
    assert account.ids("leads?limit=2&order[updated_at]=asc") == [701, 702]


def test_events_are_filtered_by_kind_entity_and_value(account: Account) -> None:
    account.store.insert(
        "event",
        [
            move_row(1, 1, 1, NEW, TALKS),
            move_row(2, 1, 2, TALKS, WON),
            move_row(3, 2, 3, NEW, LOST),
            move_row(4, 2, 4, LOST, LOST),
        ],
    )
    account.store.clock = NOON
    account.store.add_event(
        "entity_responsible_changed",
        entity_id=1,
        created_by=2,
        value_after=[{"responsible_user": {"id": 2}}],
        value_before=[{"responsible_user": {"id": 1}}],
    )

    def numbers(query: str) -> list[str]:
        return [event["id"][-1] for event in account.rows(f"events?{query}")]

    value = "filter[value_{0}][leads_statuses][0][pipeline_id]={1}"
    status = "&filter[value_{0}][leads_statuses][0][status_id]={1}"
    moves = "filter[type]=lead_status_changed"
    for query, expected in (
        (moves, ["4", "3", "2", "1"]),  # newest first
        ("filter[type][]=lead_status_changed&filter[entity]=lead&filter[entity_id]=2", ["4", "3"]),
        (f"{moves}&filter[created_at]={SECOND + 60},{SECOND + 120}", ["2", "1"]),
        (f"{moves}&filter[created_at][from]={SECOND + 240}", ["4"]),
        (value.format("after", SALES) + status.format("after", LOST), ["4", "3"]),
        (value.format("before", SALES) + status.format("before", LOST), ["4"]),
        (value.format("after", OLD), []),
        ("filter[id]=01move00000000000000000003", ["3"]),
    ):
        assert numbers(query) == expected, query
    (changed,) = account.rows("events?filter[value_after][responsible_user_id]=2")
    assert (changed["type"], changed["created_by"]) == ("entity_responsible_changed", 2)
    assert len(changed["id"]) == 26
    both = "events?filter[type]=lead_status_changed,entity_responsible_changed"
    assert len(account.rows(both)) == 5


def test_notes_belong_to_one_kind_of_card(account: Account) -> None:
    call = {"uniq": "c1", "duration": 5}
    account.store.insert(
        "note",
        [
            note_row(1, "leads", 1),
            note_row(2, "leads", 2, note_type="call_in", params=call),
            note_row(3, "leads", 2, note_type="call_out", params=call),
            note_row(4, "contacts", 2, note_type="call_out", params=call),
        ],
    )
    calls = "filter[note_type][]=call_in&filter[note_type][]=call_out"
    assert account.ids("leads/notes") == [1, 2, 3]
    assert account.ids(f"leads/notes?{calls}") == [2, 3]
    assert account.ids("leads/notes?filter[note_type]=common") == [1]
    assert account.ids("leads/2/notes") == [2, 3]
    assert account.ids("contacts/notes") == [4]
    assert account.ids("companies/notes") == []
    assert account.ids(f"leads/notes?filter[updated_at][from]={SECOND + 120}") == [2, 3]
    assert account.body("leads/2/notes/3")["params"] == call
    assert account.portal.calls["leads/{entity_id}/notes/{id}"] == 1


def test_tasks_are_filtered_by_state_and_card(account: Account) -> None:
    account.store.insert(
        "task",
        [
            task_row(1, 1),
            task_row(2, 1, is_completed=1, task_type_id=2, complete_till=at(0)),
            task_row(3, 9, entity_type="contacts"),
        ],
    )
    for query, expected in (
        ("filter[is_completed]=1", [2]),
        ("filter[is_completed][]=0", [1, 3]),
        ("filter[task_type][]=2", [2]),
        ("filter[entity_type]=leads&filter[entity_id]=1", [1, 2]),
        ("order[complete_till]=asc", [2, 1, 3]),
        (f"filter[updated_at][from]={SECOND + 120}&order[updated_at]=asc", [2, 3]),
    ):
        assert account.ids(f"tasks?{query}") == expected, query


def test_won_and_lost_are_in_every_pipeline(account: Account) -> None:
    account.store.delete("status", (SALES, TALKS))
    pipelines = account.rows("leads/pipelines")
    assert [(p["id"], p["is_main"], p["is_archive"]) for p in pipelines] == [
        (SALES, True, False),
        (OLD, False, True),
    ]
    stages = {p["id"]: [s["id"] for s in p["_embedded"]["statuses"]] for p in pipelines}
    assert stages == {SALES: [SALES + 1, NEW, WON, LOST], OLD: [OLD + 1, OLD_NEW, WON, LOST]}
    types = [status["type"] for status in pipelines[0]["_embedded"]["statuses"]]
    assert types == [1, 0, 0, 0]


def test_a_deleted_lead_is_told_only_when_asked_for(account: Account) -> None:
    account.store.insert("note", [note_row(1, "leads", 3)])
    account.store.clock = NOON
    account.store.delete("lead", 3)
    assert 3 not in account.ids("leads?limit=250")
    assert account.answer("leads/3").status_code == 204
    (deleted,) = account.rows("leads?with=only_deleted")
    assert (deleted["id"], deleted["is_deleted"], deleted["updated_at"]) == (3, True, SECOND)
    assert "status_id" not in deleted
    (event,) = account.rows("events?filter[type]=lead_deleted")
    assert (event["entity_id"], event["value_after"], event["value_before"]) == (3, [], [])
    account.store.delete("lead", 3)
    assert account.ids("leads?with=only_deleted") == []
    assert account.ids("leads/notes") == []
    assert len(account.rows("events")) == 1, "the event outlives the recycle bin"


def test_a_restored_lead_is_back(account: Account) -> None:
    account.store.delete("lead", 3)
    account.store.restore_lead(3)
    assert account.body("leads/3")["is_deleted"] is False
    assert account.ids("leads?with=only_deleted") == []
    assert [event["type"] for event in account.rows("events")] == ["lead_restored", "lead_deleted"]


def test_a_removed_user_is_not_listed_and_an_inactive_one_says_so(account: Account) -> None:
    assert [
        (user["id"], user["rights"]["is_active"], user["rights"]["is_admin"])
        for user in account.rows("users?with=group")
    ] == [(1, True, True), (2, False, False)]
    account.store.delete("user", 2)
    assert account.ids("users") == [1]
    assert account.body("users")["_total_items"] == 1
    assert account.body("leads/1")["responsible_user_id"] == 2


def test_moving_a_lead_leaves_an_event(account: Account) -> None:
    account.store.clock = NOON
    account.store.move_lead(1, WON, created_by=2)
    lead = account.body("leads/1")
    assert (lead["status_id"], lead["closed_at"], lead["updated_by"]) == (WON, SECOND, 2)
    (event,) = account.rows("events")
    assert event["value_before"] == [{"lead_status": {"id": NEW, "pipeline_id": SALES}}]
    assert event["value_after"] == [{"lead_status": {"id": WON, "pipeline_id": SALES}}]
    account.store.move_lead(1, OLD_NEW, OLD)
    assert account.body("leads/1")["closed_at"] is None


def test_clients_know_their_leads(account: Account) -> None:
    account.store.insert("company", [client_row(71)])
    account.store.insert("contact", [client_row(61, company_id=71), client_row(62)])
    account.store.insert(
        "lead",
        [
            lead_row(801, contacts=[{"id": 61, "is_main": True}, {"id": 62, "is_main": False}]),
            lead_row(802, contacts=[{"id": 61, "is_main": True}], company_id=71),
        ],
    )
    contacts = account.rows("contacts?with=leads")
    assert [[lead["id"] for lead in c["_embedded"]["leads"]] for c in contacts] == [
        [801, 802],
        [801],
    ]
    account.store.purge("lead", 802)
    (first, _) = account.rows("contacts?with=leads")
    assert [lead["id"] for lead in first["_embedded"]["leads"]] == [801]
