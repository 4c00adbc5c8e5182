"""The account answers with the keys of the documented bodies, and of the documented errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.amocrm.portal import AmoPortal
from sources.demo.server import serve_in_thread
from tests.support.amo_accounts import (
    LOST,
    NEW,
    SALES,
    TALKS,
    client_row,
    lead_row,
    make_account,
    move_row,
    note_row,
    task_row,
)
from tests.support.portals import at

BODIES = Path(__file__).parents[3] / "data" / "amocrm"
PHONE = {
    "field_id": 3,
    "field_name": "Phone",
    "field_code": "PHONE",
    "field_type": "multitext",
    "values": [{"value": "+79123", "enum_id": 1, "enum_code": "WORK"}],
}
BEYOND = {
    # Fields of section 2.3 that the documented samples leave out.
    "leads": {"labor_cost", "is_price_modified_by_robot"},
    "contacts": {"is_deleted"},
    "companies": {"is_deleted"},
    "account": {"currency", "currency_symbol"},
    "users": {"_embedded"},
}
OLDER = {
    # The sample is older than the form that the same documentation describes: enum_code.
    "enum": "enum_code"
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with make_account(tmp_path_factory.mktemp("account") / "account.sqlite") as store:
        store.insert("loss_reason", [{"id": 5, "name": "Price", "sort": 1, "created_at": at(0)}])
        store.insert(
            "lead",
            [
                lead_row(
                    number,
                    status_id=LOST,
                    loss_reason_id=5,
                    company_id=11,
                    contacts=[{"id": 21, "is_main": True}],
                    tags=[{"id": 9, "name": "hot"}],
                    catalog_elements=[{"id": 41, "metadata": {"quantity": 1, "catalog_id": 4}}],
                )
                for number in range(1, 6)
            ],
        )
        store.insert(
            "contact",
            [
                client_row(21, company_id=11, custom_fields_values=[PHONE]),
                *(client_row(number) for number in (22, 23)),
            ],
        )
        store.insert("company", [client_row(n, custom_fields_values=[PHONE]) for n in (11, 12, 13)])
        store.insert("note", [note_row(number, "leads", 1) for number in range(1, 4)])
        store.insert("event", [move_row(number, 1, number, NEW, TALKS) for number in (1, 2)])
        store.insert("task", [task_row(1, 1, result={"text": "Done"}), task_row(2, 1)])
        store.insert("tag", [{"id": n, "entity_type": "leads", "name": f"t{n}"} for n in (9, 10)])
        store.insert(
            "custom_field",
            [
                {
                    "id": 3,
                    "entity_type": "contacts",
                    "name": "Phone",
                    "type": "multitext",
                    "code": "PHONE",
                    "sort": 4,
                    "enums": [{"id": 1, "value": "WORK", "sort": 2}],
                }
            ],
        )
        store.insert(
            "catalog",
            [{"id": n, "name": "Products", "type": "products", "sort": 1} for n in (4, 5)],
        )
        store.insert(
            "catalog_element",
            [
                {
                    "id": n,
                    "catalog_id": 4,
                    "name": "Boiler",
                    "custom_fields_values": [
                        {**PHONE, "field_code": "SKU", "values": [{"value": "dsg"}]}
                    ],
                }
                for n in (41, 42)
            ],
        )
        store.insert(
            "unsorted",
            [
                {
                    "uid": "a1",
                    "category": "sip",
                    "pipeline_id": SALES,
                    "created_at": at(0),
                    "metadata": {"phone": "79"},
                    "lead_id": 1,
                    "contact_id": 21,
                }
            ],
        )
        with serve_in_thread(AmoPortal(store)) as address:
            yield address


def get(address: str, path: str, status: int = 200) -> Any:
    response = requests.get(
        f"{address}api/v4/{path}", headers={"Authorization": "Bearer demo"}, timeout=10
    )
    assert response.status_code == status, response.text
    return response.json()


def documented(name: str) -> Any:
    return json.loads((BODIES / f"{name}.json").read_text(encoding="utf-8"))


def keys(value: Any) -> Any:
    """The shape of a body: keys, and of lists the shape of the first entry."""
    if isinstance(value, dict):
        return {OLDER.get(name, name): keys(item) for name, item in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def assert_same_shape(documented_shape: Any, answered: Any, more: set[str], path: str) -> None:
    """Every documented key, and none but these and the few that are known beside them."""
    if isinstance(documented_shape, dict) and isinstance(answered, dict):
        assert set(answered) - more == set(documented_shape) - more, path
        for name in documented_shape.keys() & answered.keys():
            assert_same_shape(documented_shape[name], answered[name], more, f"{path}.{name}")
    elif isinstance(documented_shape, list) and isinstance(answered, list):
        assert_same_shape(documented_shape[0], answered[0], more, f"{path}[0]")


@pytest.mark.parametrize(
    ("name", "path", "more"),
    [
        ("leads.get_leads", "leads?limit=2&page=2", "leads"),
        ("companies.get_companies", "companies?limit=2", "companies"),
        ("companies.get_company", "companies/11", "companies"),
        ("contacts.get_contacts", "contacts?limit=2", "contacts"),
        ("contacts.get_contact", "contacts/21?with=leads,customers,catalog_elements", "contacts"),
        ("catalogs.get_catalogs", "catalogs?limit=1", ""),
        ("catalogs.get_catalog", "catalogs/4", ""),
        ("catalogs.get_catalog_elements", "catalogs/4/elements?limit=1", ""),
        ("catalogs.get_catalog_element", "catalogs/4/elements/41", ""),
        ("custom_fields._get_custom_field_by_entity_type", "contacts/custom_fields/3", ""),
        ("notes.get_entity_note", "leads/1/notes/1", ""),
        ("notes.get_notes_by_entity_type", "leads/notes?limit=1", ""),
        ("notes.get_notes_by_entity_type_and_entity_id", "leads/1/notes?limit=1", ""),
        ("pipelines.get_pipelines", "leads/pipelines", ""),
        ("pipelines.get_pipeline", f"leads/pipelines/{SALES}", ""),
        ("pipelines.get_pipeline_status", f"leads/pipelines/{SALES}/statuses/{NEW}", ""),
        ("tags.get_tags_by_entity_type", "leads/tags?limit=1", ""),
        ("tasks.get_task", "tasks/1", ""),
        ("tasks.get_tasks", "tasks?limit=1", ""),
        ("unsorted.get_unsorted_by_uid", "leads/unsorted/a1", "metadata"),
        ("unsorted.get_unsorted_leads", "leads/unsorted", "metadata"),
        ("users.get_user", "users/1", ""),
        ("users.get_users", "users?with=role,group", "users"),
        ("leads.get_lead", "leads/1?with=contacts,loss_reason,catalog_elements,"
         "is_price_modified_by_robot", "leads"),
        ("base.get_account_info", "account?with=amojo_id,uuid,version,amojo_rights,users_groups,"
         "task_types,entity_names,datetime_settings", "account"),
    ],
)  # fmt: skip
def test_an_answer_has_the_documented_keys(address: str, name: str, path: str, more: str) -> None:
    expected, answered = keys(documented(name)), keys(get(address, path))
    if more == "metadata":  # differs from category to category, as its documentation shows
        for body in (expected, answered):
            row = body["_embedded"]["unsorted"][0] if "unsorted" in body["_embedded"] else body
            assert row.pop("metadata")
    assert_same_shape(expected, answered, BEYOND.get(more, set()), name)


@pytest.mark.parametrize("path", ["events?limit=1", "events/01move00000000000000000002"])
def test_an_event_has_the_documented_keys(address: str, path: str) -> None:
    is_list = "?" in path
    name = "events.get_events.repaired" if is_list else "events.get_event"
    expected, answered = keys(documented(name)), keys(get(address, path))
    value = documented("events.value.lead_status_changed")
    for body in (expected, answered):
        row = body["_embedded"]["events"][0] if is_list else body
        if body is answered:
            assert row["value_after"] == keys(value)["value_after"]
            assert row["value_before"] == keys(value)["value_before"]
        row.pop("value_after"), row.pop("value_before")
    assert_same_shape(expected, answered, set(), name)


def test_empty_objects_are_lists_and_absent_fields_null(address: str) -> None:
    assert get(address, "tasks/2")["result"] == []
    assert get(address, "tasks/1")["result"] == {"text": "Done"}
    assert get(address, "leads/2")["custom_fields_values"] is None
    second = get(address, "contacts/22?with=leads")["_embedded"]
    assert second == {"tags": [], "leads": [], "companies": []}


def test_parts_come_only_when_asked_for(address: str) -> None:
    assert set(get(address, "leads/1")["_embedded"]) == {"tags", "companies"}
    lead = get(address, "leads/1?with=contacts,loss_reason")
    assert lead["_embedded"]["contacts"][0]["id"] == 21
    assert lead["_embedded"]["contacts"][0]["is_main"] is True
    assert [reason["name"] for reason in lead["_embedded"]["loss_reason"]] == ["Price"]
    assert "is_price_modified_by_robot" not in lead
    assert "_embedded" not in get(address, "account")
    assert set(get(address, "account?with=users_groups")["_embedded"]) == {"users_groups"}
    assert set(get(address, "companies/11")["_embedded"]) == {"tags"}
    whole = get(address, "companies/11?with=contacts,leads")["_embedded"]
    assert [contact["id"] for contact in whole["contacts"]] == [21]
    assert [lead["id"] for lead in whole["leads"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("nothing", 404, "404"),
        ("leads/pipelines/77", 404, "404"),
        ("leads?filter[updated_at][from]=yesterday", 400, "400.validation"),
    ],
)
def test_an_error_has_the_documented_keys(address: str, path: str, status: int, name: str) -> None:
    answered = get(address, path, status)
    expected = documented(f"errors/{name}")
    assert keys(answered) == keys(expected)
    assert (answered["status"], answered["title"]) == (status, expected["title"])
    assert answered["type"] == expected["type"]


def test_only_get_is_served(address: str) -> None:
    response = requests.post(address + "api/v4/leads", timeout=10)
    assert response.status_code == 405
    assert response.json() == documented("errors/405")
    assert response.headers["content-type"] == "application/problem+json"
