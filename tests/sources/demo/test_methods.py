"""The methods of the demo portal, each in its own dialect, as Bitrix24's documentation says."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sources.demo.methods import (
    LISTS,
    METHODS,
    OBJECTS,
    SCOPES,
    MethodError,
    Page,
    call_list,
    call_object,
)
from sources.demo.methods.views import camel, upper_snake
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore

BODIES = Path(__file__).parents[2] / "data" / "bitrix24" / "bodies"
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PHONE = {"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "+79001234567", "TYPE_ID": "PHONE"}
SMART = 130


def hour(number: float) -> dt.datetime:
    return NEW_YEAR + dt.timedelta(hours=number)


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "ID": number,
        "TITLE": f"Item {number}",
        "CATEGORY_ID": 5,
        "STAGE_ID": "DT31_5:N",
        "OPPORTUNITY": f"{number * 1000}.50" if number % 2 else f"{number * 1000}.00",
        "IS_MANUAL_OPPORTUNITY": 1,
        "TAX_VALUE": "0.00",
        "CURRENCY_ID": "RUB",
        "PARENT_ID_2": 100 + number,
        "OPENED": number % 2,
        "ASSIGNED_BY_ID": 1 + number % 3,
        "CREATED_BY": 1,
        "CREATED_TIME": hour(number),
        "UPDATED_TIME": hour(number + 1),
        "CUSTOM": {"UF_CRM_GRADE": "A" if number < 3 else "B", "UF_CRM_5_1639669411830": [1, 2]},
        **fields,
    }


def fill(store: PortalStore) -> None:
    """A small portal in UTC+3 with at least one record of everything."""
    store.create()
    store.clock = hour(1_000)
    store.set_meta("utc_offset", 180)
    store.insert(
        "category",
        [
            {"ID": 0, "NAME": "Общая", "SORT": 300, "IS_DEFAULT": 1},
            {"ID": 1, "NAME": "Опт", "SORT": 200, "IS_DEFAULT": 0, "ENTITY_TYPE_ID": 2},
            {"ID": 5, "NAME": "Счета", "SORT": 10, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": 31},
            {"ID": 6, "NAME": "Монтаж", "SORT": 10, "IS_DEFAULT": 1, "ENTITY_TYPE_ID": SMART},
        ],
    )
    dictionaries = (
        "DEAL_STAGE",
        "STATUS",
        "SOURCE",
        "SMART_INVOICE_STAGE_5",
        "DYNAMIC_130_STAGE_6",
    )
    store.insert(
        "status",
        (
            {"ID": number, "ENTITY_ID": name, "STATUS_ID": f"S{number}", "NAME": name, "SORT": 10}
            for number, name in enumerate(dictionaries, start=1)
        ),
    )
    store.insert(
        "user",
        [
            {
                "ID": 1,
                "ACTIVE": 1,
                "NAME": "Анна",
                "LAST_NAME": "Иванова",
                "EMAIL": "anna@example.com",
                "UF_DEPARTMENT": [2, 3],
            },
            {"ID": 2, "ACTIVE": 1, "NAME": "Борис", "UF_DEPARTMENT": [4]},
        ],
    )
    store.insert(
        "lead",
        (
            {
                "ID": number,
                "TITLE": f"Лид {number}",
                "STATUS_ID": "NEW",
                "STATUS_SEMANTIC_ID": "P",
                "SOURCE_ID": "CALL",
                "CURRENCY_ID": "RUB",
                "OPPORTUNITY": f"{number}.00",
                "CONTACT_ID": None if number == 1 else 7,
                "ASSIGNED_BY_ID": 1,
                "DATE_CREATE": hour(number),
                "DATE_MODIFY": hour(number),
                "HAS_PHONE": 1,
                "OPENED": 1,
                "PHONE": [PHONE],
                "CUSTOM": {"UF_CRM_GRADE": "A"} if number == 2 else {},
            }
            for number in range(1, 61)
        ),
    )
    store.insert(
        "company",
        [
            {
                "ID": 9,
                "TITLE": "Ромашка",
                "COMPANY_TYPE": "CUSTOMER",
                "INDUSTRY": "IT",
                "ASSIGNED_BY_ID": 1,
                "DATE_CREATE": hour(0),
                "DATE_MODIFY": hour(0),
                "PHONE": [PHONE],
            }
        ],
    )
    store.insert(
        "deal",
        (
            {
                "ID": number,
                "TITLE": f"Сделка {number}",
                "CATEGORY_ID": 0,
                "STAGE_ID": "NEW",
                "STAGE_SEMANTIC_ID": "P",
                "OPPORTUNITY": f"{number * 900}.00",
                "DATE_CREATE": hour(number),
                "DATE_MODIFY": hour(number),
            }
            for number in range(101, 104)
        ),
    )
    store.insert("invoice", (item(number) for number in range(1, 5)))
    store.insert(
        "smart_item",
        [
            item(11, ENTITY_TYPE_ID=SMART),
            item(12, ENTITY_TYPE_ID=131),
            item(13, ENTITY_TYPE_ID=SMART),
        ],
    )
    for entity, prefix in (
        ("lead_stage_history", "STATUS"),
        ("stage_history", "STAGE"),
        ("invoice_stage_history", "STAGE"),
    ):
        category = {} if prefix == "STATUS" else {"CATEGORY_ID": 0}
        store.insert(
            entity,
            (
                {
                    "ID": number,
                    "TYPE_ID": 1,
                    "OWNER_ID": number,
                    "CREATED_TIME": hour(number),
                    f"{prefix}_ID": "NEW",
                    f"{prefix}_SEMANTIC_ID": "P",
                    **category,
                }
                for number in (1, 2, 101)
            ),
        )
    store.insert(
        "activity",
        (
            {
                "ID": number,
                "OWNER_TYPE_ID": owner_type,
                "OWNER_ID": owner,
                "TYPE_ID": type_id,
                "COMPLETED": number % 2,
                "CREATED": hour(number),
                "LAST_UPDATED": hour(number + 10),
                "SUBJECT": f"Дело {number}",
            }
            for number, owner_type, owner, type_id in (
                (1, 2, 101, 2),
                (2, 2, 101, 4),
                (3, 1, 1, 6),
                (4, 2, 102, 1),
                (5, 3, 7, 3),
            )
        ),
    )
    store.insert(
        "binding",
        [
            {"ID": 1, "ACTIVITY_ID": 1, "ENTITY_TYPE_ID": 3, "ENTITY_ID": 7},
            {"ID": 2, "ACTIVITY_ID": 1, "ENTITY_TYPE_ID": 2, "ENTITY_ID": 102},
            {"ID": 3, "ACTIVITY_ID": 1, "ENTITY_TYPE_ID": 2, "ENTITY_ID": 101},
            {"ID": 4, "ACTIVITY_ID": 5, "ENTITY_TYPE_ID": 2, "ENTITY_ID": 102},
        ],
    )
    store.insert(
        "task",
        (
            {
                "ID": number,
                "TITLE": f"Задача {number}",
                "STATUS": 5 if number % 2 else 2,
                "PRIORITY": 1,
                "CREATED_BY": 1,
                "RESPONSIBLE_ID": 1 + number % 2,
                "CREATED_DATE": hour(number),
                "CHANGED_DATE": hour(number + 100),
                "DEADLINE": hour(number + 5) if number < 10 else None,
                "UF_CRM_TASK": [f"D_{100 + number}", "C_7"],
            }
            for number in range(1, 61)
        ),
    )
    store.insert(
        "task_history",
        [
            {
                "ID": 1,
                "TASK_ID": 3,
                "CREATED_DATE": hour(1),
                "USER_ID": 1,
                "FIELD": "NEW",
            },
            {
                "ID": 2,
                "TASK_ID": 3,
                "CREATED_DATE": hour(2),
                "USER_ID": 1,
                "FIELD": "DEADLINE",
                "VALUE_FROM": "1767225600",
                "VALUE_TO": "1767312000",
            },
            {"ID": 3, "TASK_ID": 4, "CREATED_DATE": hour(2), "USER_ID": 99, "FIELD": "NEW"},
        ],
    )
    store.insert(
        "timeline_comment",
        [
            {
                "ID": number,
                "ENTITY_TYPE": entity,
                "ENTITY_ID": 101 if entity == "deal" else 1,
                "AUTHOR_ID": 1,
                "CREATED": hour(number),
                "COMMENT": f"Комментарий {number}",
            }
            for number, entity in enumerate(("deal", "deal", "lead", "deal"), start=1)
        ],
    )
    store.insert(
        "product",
        [
            {
                "ID": 3,
                "NAME": "Окно",
                "ACTIVE": 1,
                "PRICE": "15000.00",
                "CURRENCY_ID": "RUB",
                "SORT": 500,
                "DATE_CREATE": hour(0),
                "TIMESTAMP_X": hour(1),
            },
            {"ID": 4, "NAME": "Дверь", "ACTIVE": 0, "PRICE": "9000.00"},
        ],
    )
    store.insert(
        "product_row",
        (
            {
                "ID": number,
                "OWNER_TYPE": code,
                "OWNER_ID": owner,
                "PRODUCT_ID": 3,
                "PRODUCT_NAME": "Окно",
                "PRICE": "90000.00",
                "PRICE_NETTO": "90909.09",
                "PRICE_BRUTTO": "100000.00",
                "QUANTITY": "1.5",
                "DISCOUNT_TYPE_ID": 2,
                "DISCOUNT_RATE": "10.0",
                "DISCOUNT_SUM": "9090.91",
                "TAX_RATE": None if number == 3 else "10.00",
                "TAX_INCLUDED": 1,
                "MEASURE_CODE": 796,
                "MEASURE_NAME": "шт",
                "SORT": 100 - number,
                "XML_ID": f"sale_basket_{number}",
                "TYPE": 4,
            }
            for number, code, owner in ((1, "D", 101), (2, "D", 101), (3, "D", 102), (4, "L", 101))
        ),
    )
    store.insert(
        "currency",
        [
            {
                "ID": number,
                "CURRENCY": code,
                "AMOUNT_CNT": 1,
                "AMOUNT": amount,
                "SORT": 100 * number,
                "BASE": number == 1,
                "FULL_NAME": code,
                "LID": "ru",
                "DATE_UPDATE": hour(0),
            }
            for number, (code, amount) in enumerate({"RUB": "1.0000", "USD": "78.32"}.items(), 1)
        ],
    )
    store.insert(
        "custom_field",
        [
            {
                "ID": 1,
                "ENTITY_TYPE": "deal",
                "FIELD_NAME": "UF_CRM_GRADE",
                "USER_TYPE": "enumeration",
                "LABEL": "Класс",
                "IS_MULTIPLE": 0,
                "ITEMS": [{"ID": 44, "VALUE": "A"}, {"ID": 45, "VALUE": "B"}],
            },
            {
                "ID": 2,
                "ENTITY_TYPE": "deal",
                "FIELD_NAME": "UF_CRM_NOTE",
                "USER_TYPE": "string",
                "LABEL": "Заметка",
                "IS_MULTIPLE": 1,
            },
            {
                "ID": 3,
                "ENTITY_TYPE": "lead",
                "FIELD_NAME": "UF_CRM_NOTE",
                "USER_TYPE": "string",
                "LABEL": "Заметка",
                "IS_MULTIPLE": 0,
            },
        ],
    )
    store.finish()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalStore]:
    with PortalStore(tmp_path_factory.mktemp("methods") / "portal.sqlite") as filled:
        fill(filled)
        yield filled


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[PortalStore]:
    """A portal of one's own to write to."""
    with PortalStore(tmp_path / "portal.sqlite") as filled:
        fill(filled)
        yield filled


def documented(file: str) -> Any:
    return json.loads((BODIES / f"{file}.json").read_text(encoding="utf-8"))


def rows_of(page: Page) -> list[dict[str, Any]]:
    return page.result if isinstance(page.result, list) else next(iter(page.result.values()))


def ids(store: PortalStore, method: str, **parameters: Any) -> list[int]:
    found = rows_of(call_list(store, method, parameters))
    return [int(row.get("ID", row.get("id"))) for row in found]


def refusal(store: PortalStore, method: str, **parameters: Any) -> dict[str, Any]:
    """The body of the error that a method answers."""
    call = call_list if method in LISTS else call_object
    with pytest.raises(MethodError) as caught:
        call(store, method, parameters)
    assert caught.value.status == 400
    return {"error": caught.value.code, "error_description": caught.value.description}


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def assert_same_types(answered: list[dict[str, Any]], told: list[dict[str, Any]]) -> None:
    """Fields in common have the same types wherever both have a value."""

    def kinds(rows: list[dict[str, Any]]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in rows:
            for name, value in row.items():
                if value not in (None, "", [], {}):
                    found.setdefault(name, set()).add(kind(value))
        return found

    theirs, ours = kinds(told), kinds(answered)
    common = theirs.keys() & ours.keys()
    assert len(common) >= 2, "too little in common to compare"
    assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}


# Classic lists


def test_leads_look_as_documented(store: PortalStore) -> None:
    page = call_list(store, "crm.lead.list", {"filter": {"ID": [1, 2]}, "select": ["*", "PHONE"]})
    told = documented("crm.lead.get")["result"]
    first = page.result[0]
    assert first.keys() <= told.keys()
    assert_same_types(page.result, [told])
    assert (first["COMPANY_ID"], first["CONTACT_ID"], first["DATE_CLOSED"]) == ("0", None, "")
    assert (first["HAS_PHONE"], first["OPPORTUNITY"], first["PHONE"]) == ("Y", "1.00", [PHONE])
    assert first["DATE_CREATE"] == "2026-01-01T04:00:00+03:00"


def test_companies_look_as_documented(store: PortalStore) -> None:
    chosen = documented("crm.company.list")["result"][0]
    page = call_list(store, "crm.company.list", {"select": list(chosen)})
    assert page.result[0].keys() == chosen.keys()
    assert_same_types(page.result, [chosen])
    whole = call_list(store, "crm.company.list", {}).result[0]
    assert whole.keys() <= documented("crm.company.get")["result"].keys()


@pytest.mark.parametrize("method", ["crm.lead.list", "crm.company.list"])
def test_phones_must_be_named(store: PortalStore, method: str) -> None:
    star = call_list(store, method, {"select": ["*", "UF_*"]}).result[0]
    assert not {"PHONE", "EMAIL", "CUSTOM"} & star.keys()


def test_classic_lists_page_by_50(store: PortalStore) -> None:
    first = call_list(store, "crm.lead.list", {})
    assert (len(first.result), first.total, first.next) == (50, 60, 50)
    rest = call_list(store, "crm.lead.list", {"start": "50"})
    assert ([row["ID"] for row in rest.result], rest.next) == (
        [str(number) for number in range(51, 61)],
        None,
    )
    fast = call_list(store, "crm.lead.list", {"start": -1, "filter": {">ID": 55}})
    assert (len(fast.result), fast.total, fast.next) == (5, 0, None)


def test_amounts_are_compared_as_numbers(store: PortalStore) -> None:
    assert ids(store, "crm.lead.list", filter={">OPPORTUNITY": 9, "<=OPPORTUNITY": "11"}) == [
        10,
        11,
    ]
    assert ids(store, "crm.lead.list", filter={"OPPORTUNITY": 2}) == [2]


def test_custom_fields_are_filtered_and_printed_where_selected(store: PortalStore) -> None:
    page = call_list(
        store, "crm.lead.list", {"filter": {"UF_CRM_GRADE": "A"}, "select": ["UF_CRM_GRADE"]}
    )
    assert page.result == [{"ID": "2", "UF_CRM_GRADE": "A"}]
    assert ids(store, "crm.lead.list", filter={"!UF_CRM_GRADE": "A", "<=ID": 3}) == [1, 3]
    assert ids(store, "crm.lead.list", filter={"UF_CRM_GRADE": "", "<=ID": 3}) == [1, 3]


def test_products_have_letters_for_flags(store: PortalStore) -> None:
    page = call_list(store, "crm.product.list", {"order": {"NAME": "ASC"}})
    assert [(row["ID"], row["ACTIVE"]) for row in page.result] == [("4", "N"), ("3", "Y")]
    assert page.result[1] == {
        "ID": "3",
        "NAME": "Окно",
        "CODE": None,
        "ACTIVE": "Y",
        "PRICE": "15000.00",
        "CURRENCY_ID": "RUB",
        "SECTION_ID": None,
        "SORT": "500",
        "XML_ID": None,
        "DATE_CREATE": "2026-01-01T03:00:00+03:00",
        "TIMESTAMP_X": "2026-01-01T04:00:00+03:00",
        "CREATED_BY": None,
        "MODIFIED_BY": None,
    }


def test_currencies_look_as_documented(store: PortalStore) -> None:
    told = documented("crm.currency.list")
    page = call_list(store, "crm.currency.list", {"order": {"SORT": "desc"}})
    assert [row["CURRENCY"] for row in page.result] == ["USD", "RUB"]
    assert page.result[0].keys() == told["result"][0].keys()
    assert_same_types(page.result, told["result"])
    assert (page.total, page.next) == (told["total"], None) == (0, None)


@pytest.mark.parametrize(
    ("dictionary", "expected"),
    [
        ("STATUS", [2]),
        ("SOURCE", [3]),
        ("SMART_INVOICE_STAGE_5", [4]),
        ("DYNAMIC_130_STAGE_6", [5]),
        ("DEAL_STAGE_0", []),
    ],
)
def test_every_dictionary_is_a_filter_of_the_status_list(
    store: PortalStore, dictionary: str, expected: list[int]
) -> None:
    assert ids(store, "crm.status.list", filter={"ENTITY_ID": dictionary}) == expected


# Pipelines and stage history


@pytest.mark.parametrize(
    ("type_id", "expected"), [(2, [0, 1]), ("31", [5]), (SMART, [6]), (3, []), (131, [])]
)
def test_pipelines_belong_to_an_entity_type(
    store: PortalStore, type_id: Any, expected: list[int]
) -> None:
    page = call_list(store, "crm.category.list", {"entityTypeId": type_id})
    assert [row["id"] for row in page.result["categories"]] == expected
    assert {row["entityTypeId"] for row in page.result["categories"]} <= {int(type_id)}
    assert (page.total, page.next) == (len(expected), None)


def test_a_pipeline_looks_as_documented(store: PortalStore) -> None:
    page = call_list(store, "crm.category.list", {"entityTypeId": 2})
    told = documented("crm.category.list")["result"]["categories"]
    assert page.result["categories"][0].keys() == told[-1].keys()
    assert_same_types(page.result["categories"], told)


@pytest.mark.parametrize("parameters", [{}, {"entityTypeId": 999}, {"entityTypeId": "deals"}])
@pytest.mark.parametrize("method", ["crm.category.list", "crm.item.list"])
def test_an_unknown_entity_type_is_no_smart_process(
    store: PortalStore, method: str, parameters: dict[str, Any]
) -> None:
    assert refusal(store, method, **parameters) == documented("crm.category.list.error.2")


def test_leads_have_no_pipelines(store: PortalStore) -> None:
    assert refusal(store, "crm.category.list", entityTypeId=1) == {
        "error": "ENTITY_TYPE_NOT_SUPPORTED",
        "error_description": "Entity type LEAD is not supported",
    }


def test_the_history_of_leads_has_statuses_and_no_pipeline(store: PortalStore) -> None:
    page = call_list(store, "crm.stagehistory.list", {"entityTypeId": 1, "filter": {"OWNER_ID": 2}})
    assert page.result == {
        "items": [
            {
                "ID": 2,
                "TYPE_ID": 1,
                "OWNER_ID": 2,
                "CREATED_TIME": "2026-01-01T05:00:00+03:00",
                "STATUS_SEMANTIC_ID": "P",
                "STATUS_ID": "NEW",
            }
        ]
    }


@pytest.mark.parametrize("type_id", [2, 31])
def test_the_history_of_deals_and_invoices_looks_as_documented(
    store: PortalStore, type_id: int
) -> None:
    told = documented("crm.stagehistory.list")["result"]["items"]
    page = call_list(store, "crm.stagehistory.list", {"entityTypeId": type_id})
    assert page.total == 3
    assert page.result["items"][0].keys() == told[0].keys()
    assert_same_types(page.result["items"], told)


def test_other_types_have_no_history(store: PortalStore) -> None:
    for type_id in (5, SMART):
        page = call_list(store, "crm.stagehistory.list", {"entityTypeId": type_id})
        assert (page.result, page.total, page.next) == ({"items": []}, 0, None)


# Items


def test_items_look_as_documented(store: PortalStore) -> None:
    told = documented("crm.item.list")["result"]["items"]
    request = {"entityTypeId": 1, "select": list(told[0])}
    page = call_list(store, "crm.item.list", request)
    assert page.result["items"][0].keys() == told[0].keys()
    assert_same_types(page.result["items"], told)


def test_invoices_have_real_numbers_and_their_deal(store: PortalStore) -> None:
    page = call_list(store, "crm.item.list", {"entityTypeId": 31, "order": {"id": "ASC"}})
    assert (page.total, page.next) == (4, None)
    assert page.result["items"][0] == {
        "id": 1,
        "title": "Item 1",
        "accountNumber": None,
        "categoryId": 5,
        "stageId": "DT31_5:N",
        "previousStageId": None,
        "opportunity": 1000.5,
        "isManualOpportunity": "Y",
        "taxValue": 0,
        "currencyId": "RUB",
        "companyId": 0,
        "contactId": 0,
        "parentId2": 101,
        "sourceId": None,
        "begindate": None,
        "closedate": None,
        "opened": "Y",
        "assignedById": 2,
        "createdBy": 1,
        "updatedBy": None,
        "movedBy": None,
        "createdTime": "2026-01-01T04:00:00+03:00",
        "updatedTime": "2026-01-01T05:00:00+03:00",
        "movedTime": None,
        "lastActivityTime": None,
        "lastActivityBy": None,
        "entityTypeId": 31,
        "ufCrmGrade": "A",
        "ufCrm5_1639669411830": [1, 2],
    }
    assert json.dumps(page.result["items"][1]["opportunity"]) == "2000"


def test_custom_fields_of_items_keep_their_names_where_asked(store: PortalStore) -> None:
    original = call_list(store, "crm.item.list", {"entityTypeId": 31, "useOriginalUfNames": "Y"})
    assert original.result["items"][0]["UF_CRM_GRADE"] == "A"
    assert original.result["items"][0]["UF_CRM_5_1639669411830"] == [1, 2]
    for select in (["title", "ufCrmGrade"], ["TITLE", "UF_CRM_GRADE"]):
        chosen = call_list(store, "crm.item.list", {"entityTypeId": 31, "select": select})
        assert chosen.result["items"][0] == {"id": 1, "title": "Item 1", "ufCrmGrade": "A"}


@pytest.mark.parametrize(
    ("stored", "printed"),
    [
        ("PARENT_ID_2", "parentId2"),
        ("BEGINDATE", "begindate"),
        ("IS_MANUAL_OPPORTUNITY", "isManualOpportunity"),
        ("UF_CRM_1720019876534", "ufCrm_1720019876534"),
        ("UF_CRM_2_1639669411830", "ufCrm2_1639669411830"),
        ("UF_CRM_2_GRADE", "ufCrm2Grade"),
        ("UF_CRM_TASK", "ufCrmTask"),
    ],
)
def test_names_go_to_camel_case_and_back(stored: str, printed: str) -> None:
    assert camel(stored) == printed
    assert upper_snake(printed) == upper_snake(stored) == stored


def test_items_of_a_smart_process_are_its_own(store: PortalStore) -> None:
    assert ids(store, "crm.item.list", entityTypeId=SMART) == [11, 13]
    page = call_list(store, "crm.item.list", {"entityTypeId": 131, "select": ["*"]})
    assert [(row["id"], row["entityTypeId"]) for row in page.result["items"]] == [(12, 131)]


def test_deals_are_items_too(store: PortalStore) -> None:
    page = call_list(store, "crm.item.list", {"entityTypeId": 2, "filter": {">id": 102}})
    (row,) = page.result["items"]
    assert (row["id"], row["stageId"], row["createdTime"], row["opportunity"]) == (
        103,
        "NEW",
        "2026-01-05T10:00:00+03:00",
        92700,
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({">id": 1, "<=id": 3}, [2, 3]),
        ({">ID": 3}, [4]),
        ({"@parentId2": [101, 104]}, [1, 4]),
        ({">=updatedTime": "2026-01-01T07:00:00+03:00"}, [3, 4]),
        ({">=opportunity": 2000, "<opportunity": "3000.5"}, [2]),
        ({"opened": "Y"}, [1, 3]),
        ({"ufCrmGrade": "B"}, [3, 4]),
        ({"UF_CRM_GRADE": "B", ">id": 3}, [4]),
        ({"ufCrm5_1639669411830": 2, "id": 1}, [1]),
        ({"ufCrm5_1639669411830": 3}, []),
        ({"0": {"logic": "OR", "0": {"id": 1}, "1": {"parentId2": 104}}}, [1, 4]),
        ([{"logic": "OR", "id": 1, ">=parentId2": 104}], [1, 4]),
        ({"logic": "OR", "0": {"id": 1}, "1": {"id": 2}}, [1, 2]),
        ({"0": {"logic": "OR", "0": {"id": 1, "opened": "N"}, "1": {"id": 2}}}, [2]),
        ({"0": {"logic": "OR", "0": {"id": 1}, "1": {"id": 2}}, "opened": "N"}, [2]),
        ({"0": {"0": {">id": 1}, "1": {"<id": 4}}}, [2, 3]),
        ({"!=%title": "%1"}, [2, 3, 4]),
        ({"!%title": "1"}, [2, 3, 4]),
        ({"%=title": "Item%"}, [1, 2, 3, 4]),
    ],
    ids=str,
)
def test_filters_of_items_select_the_documented_rows(
    store: PortalStore, conditions: Any, expected: list[int]
) -> None:
    assert ids(store, "crm.item.list", entityTypeId=31, filter=conditions) == expected


def test_random_groups_select_what_python_selects(store: PortalStore) -> None:
    """Nested alternatives against the same rules in plain Python."""
    rng = random.Random(7)
    facts = [
        {"id": n, "parentId2": 100 + n, "opened": "Y" if n % 2 else "N", "assignedById": 1 + n % 3}
        for n in range(1, 5)
    ]

    def group(depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {"logic": rng.choice(["OR", "AND"])}
        for position in range(rng.randint(1, 3)):
            if depth and rng.random() < 0.5:
                made[str(position)] = group(depth - 1)
            else:
                name = rng.choice(["id", "parentId2", "opened", "assignedById"])
                made[str(position)] = {name: rng.choice(facts)[name]}
        return made

    def meets(fact: dict[str, Any], given: dict[str, Any]) -> bool:
        parts = [
            meets(fact, value) if key.isdigit() else fact[key] == value
            for key, value in given.items()
            if key != "logic"
        ]
        return any(parts) if given.get("logic") == "OR" else all(parts)

    for _ in range(200):
        given = group(3)
        expected = [fact["id"] for fact in facts if meets(fact, given)]
        assert ids(store, "crm.item.list", entityTypeId=31, filter=given) == expected, given


def test_items_refuse_unknown_fields(store: PortalStore) -> None:
    told = documented("crm.item.list.error.2")
    for conditions in ({">FIELD": 1}, {"0": {"logic": "OR", "0": {"FIELD": 1}}}):
        assert refusal(store, "crm.item.list", entityTypeId=31, filter=conditions) == told
    assert refusal(store, "crm.item.list", entityTypeId=31, order={"FIELD": "ASC"}) == {
        "error": "INVALID_ARG_VALUE",
        "error_description": "Invalid order: field 'FIELD' is not allowed in order",
    }
    assert refusal(store, "crm.item.list", entityTypeId=31, order={"id": "UP"})["error"] == (
        "INVALID_ARG_VALUE"
    )


# Product rows


def test_product_rows_look_as_documented(store: PortalStore) -> None:
    told = documented("crm.item.productrow.list")["result"]["productRows"]
    page = call_list(
        store, "crm.item.productrow.list", {"filter": {"=ownerType": "D", "=ownerId": 101}}
    )
    assert page.total == 2
    found = page.result["productRows"]
    assert found[0].keys() <= told[0].keys()
    assert_same_types(found, told)
    assert (found[0]["price"], found[0]["quantity"], found[0]["discountSum"]) == (
        90_000,
        1.5,
        9090.91,
    )


@pytest.mark.parametrize(
    ("conditions", "order", "expected"),
    [
        ({"=ownerType": "D", "=ownerId": "101"}, {}, [2, 1]),
        ({"=ownerType": "D", "=ownerId": 101}, {"id": "ASC"}, [1, 2]),
        ({"=ownerType": "D", "=ownerId": [101, 102], ">id": 1}, {"id": "asc"}, [2, 3]),
        ({"=ownerType": "L", "=ownerId": 101}, {}, [4]),
        # Fields without an index are ignored, as the vendor's page says.
        ({"=ownerType": "D", "=ownerId": 101, ">price": 10**9}, {"price": "desc"}, [2, 1]),
    ],
    ids=str,
)
def test_product_rows_belong_to_their_owners(
    store: PortalStore, conditions: Any, order: Any, expected: list[int]
) -> None:
    assert ids(store, "crm.item.productrow.list", filter=conditions, order=order) == expected


@pytest.mark.parametrize(
    "conditions", [None, {}, {"=ownerType": "D"}, {"=ownerId": 1}, {"ownerType": "D", "ownerId": 1}]
)
def test_product_rows_need_their_owner(store: PortalStore, conditions: Any) -> None:
    answered = refusal(store, "crm.item.productrow.list", filter=conditions)
    assert answered["error"] == "REQUIRED_ARG_MISSING"


# Descriptions of fields


@pytest.mark.parametrize("entity", ["deal", "lead"])
def test_standard_fields_are_described_as_documented(store: PortalStore, entity: str) -> None:
    told = documented(f"crm.{entity}.fields")["result"]
    page = call_object(store, f"crm.{entity}.fields", {})
    standard = {name: spec for name, spec in page.result.items() if not spec["isDynamic"]}
    assert len(standard) > 30
    for name, spec in standard.items():
        expected = {**told[name], "title": name}
        assert spec == expected, name


@pytest.mark.parametrize("entity", ["contact", "company"])
def test_contacts_and_companies_have_the_same_kind_of_description(
    store: PortalStore, entity: str
) -> None:
    page = call_object(store, f"crm.{entity}.fields", {})
    assert page.result["ID"] == {**documented("crm.deal.fields")["result"]["ID"], "title": "ID"}
    assert page.result["PHONE"]["type"] == "crm_multifield"
    assert page.result["PHONE"]["isMultiple"] is True
    required = {name for name, spec in page.result.items() if spec["isRequired"]}
    expected = {"contact": {"NAME", "SECOND_NAME", "LAST_NAME"}, "company": {"TITLE"}}
    assert required == expected[entity]


def test_custom_fields_bring_their_labels_and_options(store: PortalStore) -> None:
    described = call_object(store, "crm.deal.fields", {}).result
    assert described["UF_CRM_GRADE"] == {
        "type": "enumeration",
        "isRequired": False,
        "isReadOnly": False,
        "isImmutable": False,
        "isMultiple": False,
        "isDynamic": True,
        "items": [{"ID": "44", "VALUE": "A"}, {"ID": "45", "VALUE": "B"}],
        "title": "UF_CRM_GRADE",
        "listLabel": "Класс",
        "formLabel": "Класс",
        "filterLabel": "Класс",
    }
    assert described["UF_CRM_NOTE"]["isMultiple"] is True
    assert "items" not in described["UF_CRM_NOTE"]
    assert "UF_CRM_GRADE" not in call_object(store, "crm.lead.fields", {}).result
    assert "CUSTOM" not in described


def test_fields_of_items_have_the_names_that_items_have(store: PortalStore) -> None:
    for type_id in (2, 31, SMART):
        asked = {"entityTypeId": type_id}
        told = call_object(store, "crm.item.fields", asked).result["fields"]
        printed = rows_of(call_list(store, "crm.item.list", {**asked, "select": ["*"]}))[0]
        assert {name for name in printed if not name.startswith("uf")} == {
            name for name in told if not name.startswith("uf")
        }
    assert told["createdTime"]["type"] == "datetime"
    assert told["createdTime"]["isReadOnly"] is True


def test_custom_fields_of_items_bring_their_options_under_either_name(store: PortalStore) -> None:
    asked = {"entityTypeId": 2, "useOriginalUfNames": "Y"}
    original = call_object(store, "crm.item.fields", asked).result["fields"]
    assert original["UF_CRM_GRADE"]["items"] == [
        {"ID": "44", "VALUE": "A"},
        {"ID": "45", "VALUE": "B"},
    ]
    plain = call_object(store, "crm.item.fields", {"entityTypeId": 2}).result["fields"]
    assert plain["ufCrmGrade"]["upperName"] == "UF_CRM_GRADE"
    assert plain["ufCrmGrade"] == original["UF_CRM_GRADE"]


def test_quotes_have_no_fields(store: PortalStore) -> None:
    with pytest.raises(MethodError) as refused:
        call_object(store, "crm.item.fields", {"entityTypeId": 7})
    assert refused.value.code == "ENTITY_TYPE_NOT_SUPPORTED"


# Activities and their bindings


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"TYPE_ID": [1, 6]}, [3, 4]),
        ({"COMPLETED": "N"}, [2, 4]),
        ({">=LAST_UPDATED": "2026-01-01T16:00:00+03:00"}, [3, 4, 5]),
        ({">CREATED": "2026-01-01T03:00:00+00:00"}, [4, 5]),
        ({"OWNER_TYPE_ID": 2, "OWNER_ID": 101}, [1, 2]),
        ({"BINDINGS": [{"OWNER_TYPE_ID": 2, "OWNER_ID": 102}]}, [1, 4, 5]),
        ({"BINDINGS": {"OWNER_TYPE_ID": 3, "OWNER_ID": 7}}, [1, 5]),
        ({"BINDINGS": [{"OWNER_TYPE_ID": 2, "OWNER_ID": 102}], "COMPLETED": "Y"}, [1, 5]),
        # An activity comes once for every pair that it meets.
        (
            {
                "BINDINGS": [
                    {"OWNER_TYPE_ID": 2, "OWNER_ID": 102},
                    {"OWNER_TYPE_ID": "3", "OWNER_ID": "7"},
                ]
            },
            [1, 1, 4, 5, 5],
        ),
        ({"BINDINGS": [{"OWNER_TYPE_ID": 2}]}, []),
        ({"BINDINGS": []}, []),
    ],
    ids=str,
)
def test_activities_are_selected_by_what_they_belong_to(
    store: PortalStore, conditions: Any, expected: list[int]
) -> None:
    page = call_list(store, "crm.activity.list", {"filter": conditions})
    assert [int(row["ID"]) for row in page.result] == expected
    assert page.total == len(expected)


def test_bindings_look_as_documented(store: PortalStore) -> None:
    told = documented("crm.activity.binding.list")["result"]
    found = call_object(store, "crm.activity.binding.list", {"activityId": "1"}).result
    assert found == [
        {"entityTypeId": 2, "entityId": 101},
        {"entityTypeId": 3, "entityId": 7},
        {"entityTypeId": 2, "entityId": 102},
    ]
    assert found[0].keys() == told[0].keys()
    assert_same_types(found, told)


def test_an_unknown_activity_is_not_found(store: PortalStore) -> None:
    told = documented("crm.activity.binding.list.error.2")
    assert refusal(store, "crm.activity.binding.list", activityId=999) == told
    assert refusal(store, "crm.activity.binding.list")["error"] == "100"


# Tasks


def test_tasks_print_strings_and_nulls(store: PortalStore) -> None:
    page = call_list(store, "tasks.task.list", {"filter": {"ID": 12}})
    assert page.result == {
        "tasks": [
            {
                "id": "12",
                "title": "Задача 12",
                "status": "2",
                "priority": "1",
                "createdBy": "1",
                "responsibleId": "1",
                "createdDate": "2026-01-01T15:00:00+03:00",
                "changedDate": "2026-01-05T19:00:00+03:00",
                "dateStart": None,
                "deadline": None,
                "startDatePlan": None,
                "endDatePlan": None,
                "closedDate": None,
                "closedBy": None,
                "groupId": None,
                "parentId": None,
                "subStatus": "2",
            }
        ]
    }


def test_what_a_task_belongs_to_must_be_named(store: PortalStore) -> None:
    request = {"filter": {"ID": 3}, "select": ["ID", "TITLE", "UF_CRM_TASK"]}
    assert call_list(store, "tasks.task.list", request).result["tasks"] == [
        {"id": "3", "title": "Задача 3", "ufCrmTask": ["D_103", "C_7"]}
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({">ID": 58}, [59, 60]),
        ({"ID": [4, 9]}, [4, 9]),
        ({"<=ID": 4, "STATUS": 5}, [1, 3]),
        ({"<=ID": 4, "REAL_STATUS": 2}, [2, 4]),
        ({"<=ID": 4, "!STATUS": 5}, [2, 4]),
        ({"<=ID": 4, "RESPONSIBLE_ID": 2}, [1, 3]),
        ({">=CHANGED_DATE": "2026-01-07T18:00:00+03:00"}, [59, 60]),
        ({"<DEADLINE": "2026-01-01T07:00:00+00:00"}, [1]),
        ({"UF_CRM_TASK": "D_105"}, [5]),
        ({"UF_CRM_TASK": ["D_105", "D_107"]}, [5, 7]),
        ({"<=ID": 2, "::SUBFILTER-PARAMS": {"FAVORITE": "Y"}}, [1, 2]),
    ],
    ids=str,
)
def test_filters_of_tasks_are_in_upper_case(
    store: PortalStore, conditions: Any, expected: list[int]
) -> None:
    assert ids(store, "tasks.task.list", filter=conditions, order={"ID": "ASC"}) == expected


def test_tasks_come_newest_first_and_by_50(store: PortalStore) -> None:
    page = call_list(store, "tasks.task.list", {})
    assert [int(row["id"]) for row in page.result["tasks"]] == list(range(60, 10, -1))
    assert (page.total, page.next) == (60, 50)
    rest = call_list(store, "tasks.task.list", {"start": 50})
    assert [int(row["id"]) for row in rest.result["tasks"]] == list(range(10, 0, -1))
    fast = call_list(store, "tasks.task.list", {"start": -1, "order": {"CHANGED_DATE": "asc"}})
    assert (fast.result["tasks"][0]["id"], fast.total, fast.next) == ("1", 0, None)


def test_tasks_refuse_an_unknown_order(store: PortalStore) -> None:
    assert refusal(store, "tasks.task.list", order={"NOPE": "asc"}) == {
        "error": "0",
        "error_description": "Invalid sorting key (internal error)",
    }


def test_the_history_of_a_task_comes_newest_first(store: PortalStore) -> None:
    page = call_object(store, "tasks.task.history.list", {"taskId": "3"})
    anna = {
        "id": "1",
        "name": "Анна",
        "lastName": "Иванова",
        "secondName": "",
        "login": "anna@example.com",
    }
    assert page.result == {
        "list": [
            {
                "id": "2",
                "createdDate": "01.01.2026 05:00:00",
                "field": "DEADLINE",
                "value": {"from": "1767225600", "to": "1767312000"},
                "user": anna,
            },
            {
                "id": "1",
                "createdDate": "01.01.2026 04:00:00",
                "field": "NEW",
                "value": {"from": None, "to": None},
                "user": anna,
            },
        ]
    }


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"filter": {"FIELD": "NEW"}}, ["1"]),
        ({"filter": {"FIELD": ["NEW", "DEADLINE"]}, "order": {"createdDate": "ASC"}}, ["1", "2"]),
        ({"filter": {"FIELD": "TITLE"}}, []),
        ({"filter": []}, ["2", "1"]),
    ],
    ids=str,
)
def test_the_history_of_a_task_is_filtered_by_field(
    store: PortalStore, parameters: dict[str, Any], expected: list[str]
) -> None:
    found = call_object(store, "tasks.task.history.list", {"taskId": 3, **parameters}).result
    assert [row["id"] for row in found["list"]] == expected


def test_a_task_that_is_not_there_has_an_empty_history(store: PortalStore) -> None:
    assert call_object(store, "tasks.task.history.list", {"taskId": 999}).result == {"list": []}
    assert refusal(store, "tasks.task.history.list")["error"] == "100"
    assert refusal(store, "tasks.task.history.list", taskId="x")["error"] == "0"


def test_a_user_who_is_gone_keeps_the_id_in_the_history(store: PortalStore) -> None:
    (row,) = call_object(store, "tasks.task.history.list", {"taskId": 4}).result["list"]
    assert (row["user"]["id"], row["user"]["name"]) == ("99", "")


# Comments


def test_comments_are_strings(store: PortalStore) -> None:
    page = call_list(
        store, "crm.timeline.comment.list", {"filter": {"ENTITY_TYPE": "lead", "ENTITY_ID": 1}}
    )
    assert page.result == [
        {
            "ID": "3",
            "ENTITY_ID": "1",
            "ENTITY_TYPE": "lead",
            "CREATED": "2026-01-01T06:00:00+03:00",
            "COMMENT": "Комментарий 3",
            "AUTHOR_ID": "1",
        }
    ]
    assert page.total == 1


def test_comments_are_read_by_id(store: PortalStore) -> None:
    card = {"ENTITY_TYPE": "deal", "=ENTITY_ID": "101"}
    assert ids(store, "crm.timeline.comment.list", filter=card) == [1, 2, 4]
    assert ids(store, "crm.timeline.comment.list", filter={**card, ">ID": 1}, start=-1) == [2, 4]
    newest = {"filter": card, "order": {"CREATED": "DESC"}}
    assert ids(store, "crm.timeline.comment.list", **newest) == [4, 2, 1]


@pytest.mark.parametrize("conditions", [None, {}, {"ENTITY_ID": 1}, {"ENTITY_TYPE": "deal"}])
def test_comments_need_their_card(store: PortalStore, conditions: Any) -> None:
    assert refusal(store, "crm.timeline.comment.list", filter=conditions)["error"] == ""


# Who asks


@pytest.mark.parametrize("method", ["profile", "app.info", "user.current"])
def test_questions_of_foreign_clients_are_answered_as_documented(
    store: PortalStore, method: str
) -> None:
    told = documented(method)["result"]
    found = call_object(store, method, {}, user_id=1).result
    if method == "user.current":
        assert len(found.keys() & told.keys()) > 8
    else:
        assert found.keys() == told.keys()
    assert_same_types([found], [told])


def test_the_current_user_is_the_one_of_the_webhook(store: PortalStore) -> None:
    assert call_object(store, "user.current", {}, user_id=2).result["NAME"] == "Борис"
    assert call_object(store, "profile", {}, user_id=2).result["ID"] == "2"
    assert call_object(store, "profile", {}, user_id=77).result["ID"] == "77"


def test_methods_are_those_of_the_permissions(store: PortalStore) -> None:
    assert isinstance(documented("methods")["result"], list)
    everything = call_object(store, "methods", {}, scopes=SCOPES).result
    assert everything == sorted(METHODS)
    narrow = call_object(store, "methods", {}, scopes=("user",)).result
    assert narrow == ["app.info", "methods", "profile", "user.current", "user.get"]
    assert call_object(store, "methods", {"scope": "task"}, scopes=SCOPES).result == [
        "tasks.task.history.list",
        "tasks.task.list",
    ]


def test_users_are_found_by_one_of_their_departments(store: PortalStore) -> None:
    assert ids(store, "user.get", FILTER={"UF_DEPARTMENT": 3}) == [1]
    assert ids(store, "user.get", UF_DEPARTMENT=[3, 4]) == [1, 2]


# Printing


@pytest.mark.parametrize("offset", [180, -210, 0, 345])
def test_instants_are_printed_as_python_prints_them(tmp_path: Path, offset: int) -> None:
    rng = random.Random(offset)
    zone = dt.timezone(dt.timedelta(minutes=offset))
    instants = [
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(1, 1, 2, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 30, 23, 59, 59, tzinfo=dt.UTC),
        dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC),
        *(
            dt.datetime(1950, 1, 1, tzinfo=dt.UTC)
            + dt.timedelta(seconds=rng.randrange(3 * 10**9), microseconds=rng.choice([0, 7, 10**5]))
            for _ in range(40)
        ),
    ]
    with PortalStore(tmp_path / "portal.sqlite") as made:
        made.create()
        made.set_meta("utc_offset", offset)
        made.insert("deal", ({"ID": n, "DATE_CREATE": at} for n, at in enumerate(instants, 1)))
        printed = call_list(made, "crm.deal.list", {"select": ["DATE_CREATE"]}).result
    assert [row["DATE_CREATE"] for row in printed] == [
        instant.astimezone(zone).isoformat() for instant in instants
    ]


def test_a_moved_zone_is_printed_at_once(own_store: PortalStore) -> None:
    def first() -> str:
        return call_list(own_store, "crm.lead.list", {}).result[0]["DATE_CREATE"]

    assert first() == "2026-01-01T04:00:00+03:00"
    own_store.set_meta("utc_offset", 300)
    assert first() == "2026-01-01T06:00:00+05:00"


# Paging while records change


def test_pages_follow_offsets_though_records_are_deleted_between(own_store: PortalStore) -> None:
    """Offsets slip when a record in front of them goes: readers must meet that here too."""
    own_store.insert("company", ({"ID": n, "TITLE": str(n)} for n in range(100, 230)))
    first = call_list(own_store, "crm.company.list", {})
    assert [first.result[0]["ID"], first.result[-1]["ID"], first.total] == ["9", "148", 131]
    assert call_list(own_store, "crm.company.list", {"start": 50}).result[0]["ID"] == "149"
    own_store.delete("company", 100)
    second = call_list(own_store, "crm.company.list", {"start": 50})
    assert [second.result[0]["ID"], second.total] == ["150", 130]


def test_pages_see_what_another_connection_writes(own_store: PortalStore) -> None:
    assert call_list(own_store, "crm.lead.list", {}).total == 60
    with PortalStore(own_store.path) as other:
        other.insert("lead", [{"ID": 61, "TITLE": "x"}])
    assert call_list(own_store, "crm.lead.list", {}).total == 61


def test_pages_may_be_asked_for_in_any_order(own_store: PortalStore) -> None:
    own_store.insert("company", ({"ID": n, "TITLE": str(n)} for n in range(10, 400)))
    expected = list(range(9, 400))
    starts = [0, 50, 100, 150, 200, 250, 300, 350] * 2
    random.Random(3).shuffle(starts)
    for start in [*starts, 73, 400]:
        found = ids(own_store, "crm.company.list", start=start)
        assert found == expected[start : start + 50]
        page = call_list(own_store, "crm.company.list", {"start": start, "order": {"ID": "DESC"}})
        assert [int(row["ID"]) for row in page.result] == expected[::-1][start : start + 50]


# The primary key


@pytest.mark.parametrize(
    "conditions",
    [{">ID": 5}, {">ID": 5, "<=ID": 9}, {">ID": 5, "<=ID": 9, ">=DATE_MODIFY": "2026-01-01"}],
    ids=str,
)
def test_pages_by_id_use_the_primary_key(
    own_store: PortalStore, monkeypatch: pytest.MonkeyPatch, conditions: Any
) -> None:
    asked: list[tuple[str, Any]] = []
    query = own_store.query

    def remember(sql: str, parameters: Any = ()) -> Any:
        asked.append((sql, parameters))
        return query(sql, parameters)

    monkeypatch.setattr(own_store, "query", remember)
    ids(own_store, "crm.lead.list", filter=conditions, order={"ID": "ASC"}, start=-1)
    sql, values = next(pair for pair in asked if 'from "lead"' in pair[0])
    plan = [row["detail"] for row in query(f"explain query plan {sql}", values)]
    assert len(plan) == 1
    assert "USING INTEGER PRIMARY KEY" in plan[0]


# Deletion


def count(store: PortalStore, table: str, condition: str = "1") -> int:
    return int(store.query(f"select count(*) from {table} where {condition}")[0][0])


def test_a_deleted_lead_takes_what_belongs_to_it(own_store: PortalStore) -> None:
    own_store.insert("binding", [{"ID": 9, "ACTIVITY_ID": 3, "ENTITY_TYPE_ID": 3, "ENTITY_ID": 7}])
    own_store.delete("lead", 1)
    assert ids(own_store, "crm.lead.list", filter={"<=ID": 2}) == [2]
    history = {"entityTypeId": 1, "filter": {"OWNER_ID": [1, 2]}}
    assert ids(own_store, "crm.stagehistory.list", **history) == [2]
    assert ids(own_store, "crm.activity.list") == [1, 2, 4, 5]
    assert count(own_store, "binding", '"ACTIVITY_ID" = 3') == 0
    card = {"filter": {"ENTITY_TYPE": "lead", "ENTITY_ID": 1}}
    assert ids(own_store, "crm.timeline.comment.list", **card) == []
    # Those of deals are untouched, though ids are the same.
    assert count(own_store, "stage_history") == 3
    assert count(own_store, "timeline_comment") == 3
    assert count(own_store, "product_row") == 4


def test_a_deleted_deal_takes_what_belongs_to_it(own_store: PortalStore) -> None:
    own_store.delete("deal", 101)
    assert ids(own_store, "crm.activity.list") == [3, 4, 5]
    assert count(own_store, "stage_history", '"OWNER_ID" = 101') == 0
    assert count(own_store, "binding") == 1
    assert count(own_store, "timeline_comment", "\"ENTITY_TYPE\" = 'deal'") == 0
    assert count(own_store, "timeline_comment", "\"ENTITY_TYPE\" = 'lead'") == 1
    # Product row 4 belongs to the lead of the same number.
    rows = own_store.query('select "ID" from product_row order by "ID"')
    assert [row["ID"] for row in rows] == [3, 4]
    assert count(own_store, "lead_stage_history", '"OWNER_ID" = 101') == 1


# Over HTTP


def test_only_lists_have_totals_over_http(store: PortalStore) -> None:
    with serve_in_thread(Portal(store, scopes=SCOPES)) as address:

        def post(method: str, parameters: Any, status: int = 200) -> dict[str, Any]:
            response = requests.post(address + method, json=parameters, timeout=10)
            assert response.status_code == status, response.text
            return response.json()

        for method in OBJECTS:
            body = post(method, {"activityId": 1, "taskId": 3, "entityTypeId": 2})
            assert body.keys() == {"result", "time"}, method
        for method in LISTS:
            filters = {"=ownerType": "D", "=ownerId": 101, "ENTITY_TYPE": "deal", "ENTITY_ID": 101}
            wanted = method in ("crm.item.productrow.list", "crm.timeline.comment.list")
            request = {"entityTypeId": 31, "filter": filters if wanted else {}}
            assert {"result", "total", "time"} <= post(method, request).keys(), method
        grouped = "filter[0][logic]=OR&filter[0][0][id]=1&filter[0][1][id]=4"
        query = f"crm.item.list?entityTypeId=31&select[]=id&{grouped}"
        assert requests.get(address + query, timeout=10).json()["result"] == {
            "items": [{"id": 1}, {"id": 4}]
        }
        # A chain of pages inside the envelope of items.
        commands = {
            "a": "crm.item.list?entityTypeId=31&filter[<=id]=2&order[id]=ASC&start=-1",
            "b": "crm.item.list?entityTypeId=31&filter[>id]=$result[a][items][1][id]&start=-1",
        }
        commands = {
            key: text.replace(">", "%3E").replace("<=", "%3C%3D") for key, text in commands.items()
        }
        batch = post("batch", {"cmd": commands})["result"]["result"]
        assert [row["id"] for row in batch["b"]["items"]] == [3, 4]


def test_methods_need_their_scope_and_some_need_none(store: PortalStore) -> None:
    assert "task" in SCOPES
    with serve_in_thread(Portal(store, scopes=("crm",))) as address:
        for method, status in (
            ("tasks.task.list", 403),
            ("tasks.task.history.list", 403),
            ("user.current", 403),
            ("crm.deal.fields", 200),
            ("profile", 200),
            ("methods", 200),
        ):
            response = requests.post(address + method, json={}, timeout=10)
            assert response.status_code == status, method
