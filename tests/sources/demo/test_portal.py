"""The demo portal over loopback HTTP: it must answer as Bitrix24's documentation says."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from sources.demo.limiter import LeakyBucket
from sources.demo.methods import MethodError
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore

BODIES = Path(__file__).parents[2] / "data" / "bitrix24" / "bodies"
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CLOCK = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
DEALS = 120
PHONE = {"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "+79001234567", "TYPE_ID": "PHONE"}


def hour(number: int) -> dt.datetime:
    return NEW_YEAR + dt.timedelta(hours=number)


def fill(store: PortalStore) -> None:
    """Deal n was modified n hours after New Year (UTC); the portal stands in UTC+3."""
    store.create()
    store.clock = CLOCK
    store.set_meta("utc_offset", 180)
    store.insert(
        "category",
        [
            {"ID": 0, "NAME": "Общая", "SORT": 300, "IS_DEFAULT": 1},
            {"ID": 1, "NAME": "Опт", "SORT": 200, "IS_DEFAULT": 0},
        ],
    )
    store.insert(
        "status",
        [
            {
                "ID": 101,
                "ENTITY_ID": "DEAL_STAGE",
                "STATUS_ID": "NEW",
                "NAME": "Новая",
                "SORT": 10,
                "SYSTEM": 1,
                "COLOR": "#39A8EF",
            },
            {
                "ID": 102,
                "ENTITY_ID": "DEAL_STAGE_1",
                "STATUS_ID": "C1:WON",
                "NAME": "Успех",
                "SORT": 20,
                "SYSTEM": 1,
                "CATEGORY_ID": 1,
                "SEMANTICS": "S",
            },
        ],
    )
    store.insert(
        "user",
        [
            {
                "ID": 1,
                "ACTIVE": 1,
                "NAME": "Анна",
                "LAST_LOGIN": hour(1),
                "DATE_REGISTER": hour(0),
                "LAST_ACTIVITY_DATE": hour(2),
                "UF_DEPARTMENT": [2],
                "USER_TYPE": "employee",
            },
            {"ID": 2, "ACTIVE": 0, "NAME": "Борис", "UF_DEPARTMENT": [], "USER_TYPE": "employee"},
        ],
    )
    store.insert(
        "department",
        [
            {"ID": 1, "NAME": "Продажи", "SORT": 500},
            {"ID": 2, "NAME": "Опт", "SORT": 400, "PARENT": 1, "UF_HEAD": 1},
        ],
    )
    store.insert(
        "contact", [{"ID": 7, "NAME": "Иван", "PHONE": [PHONE], "EMAIL": [], "CUSTOM": {}}]
    )
    store.insert(
        "deal",
        (
            {
                "ID": number,
                "TITLE": f"Сделка {number}",
                "CATEGORY_ID": number % 2,
                "STAGE_ID": "C1:NEW" if number % 2 else "NEW",
                "OPPORTUNITY": "15000.00",
                "CLOSED": number > 100,
                "ASSIGNED_BY_ID": 1 + number % 3,
                "DATE_CREATE": hour(0),
                "DATE_MODIFY": hour(number),
                "CUSTOM": {"UF_CRM_GRADE": "A"} if number <= 2 else {},
            }
            for number in range(1, DEALS + 1)
        ),
    )
    store.insert(
        "stage_history",
        (
            {
                "ID": number,
                "TYPE_ID": 1,
                "OWNER_ID": number,
                "CREATED_TIME": hour(0),
                "CATEGORY_ID": 0,
                "STAGE_SEMANTIC_ID": "P",
                "STAGE_ID": "NEW",
            }
            for number in range(1, 61)
        ),
    )
    store.insert(
        "activity",
        [
            {"ID": 1, "TYPE_ID": 2, "COMPLETED": 1, "OWNER_TYPE_ID": 2, "OWNER_ID": 1},
            {"ID": 2, "TYPE_ID": 4, "COMPLETED": 0, "OWNER_TYPE_ID": 2, "OWNER_ID": 1},
        ],
    )
    store.insert(
        "call",
        (
            {
                "ID": number,
                "PORTAL_USER_ID": 1,
                "CALL_ID": f"c{number}",
                "CALL_DURATION": 100 - number,
                "CALL_START_DATE": hour(number),
                "COST": "0.0000",
                "CALL_FAILED_CODE": "200",
                "CALL_TYPE": 1 + number % 2,
            }
            for number in range(1, 11)
        ),
    )
    store.finish()


class Caller:
    """Calls one running portal the way integrations do."""

    def __init__(self, portal: Portal, address: str) -> None:
        self.portal = portal
        self.address = address
        self.session = requests.Session()

    def post(self, method: str, parameters: Any = None, status: int = 200) -> dict[str, Any]:
        response = self.session.post(self.address + method, json=parameters or {}, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, method_and_query: str, status: int = 200) -> dict[str, Any]:
        response = self.session.get(self.address + method_and_query, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    def ids(self, method: str, parameters: Any) -> list[int]:
        result = self.post(method, parameters)["result"]
        rows = result if isinstance(result, list) else next(iter(result.values()))
        return [int(row.get("ID", row.get("id"))) for row in rows]

    def deal_ids(self, conditions: dict[str, Any], **more: Any) -> list[int]:
        return self.ids("crm.deal.list", {"filter": conditions, **more})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """One portal for all tests that only read."""
    with PortalStore(tmp_path_factory.mktemp("portal") / "portal.sqlite") as store:
        fill(store)
        portal = Portal(store, code="s3cr3t")
        with serve_in_thread(portal) as address:
            yield Caller(portal, address)


@pytest.fixture
def caller(shared: Caller) -> Iterator[Caller]:
    """The same portal with its switches put back afterwards."""
    portal = shared.portal
    scopes = portal.scopes
    yield shared
    portal.scopes, portal.bucket = scopes, None
    portal.faults.clear()
    portal.store.clock = CLOCK


# Addresses and parameters


@pytest.mark.parametrize("method", ["crm.deal.list", "crm.deal.list.json", "CRM.Deal.List"])
def test_a_method_answers_with_and_without_suffix_in_any_case(shared: Caller, method: str) -> None:
    assert shared.post(method)["total"] == DEALS


def test_a_trailing_slash_changes_nothing(shared: Caller) -> None:
    assert shared.get("crm.deal.list.json/")["total"] == DEALS


def test_a_wrong_secret_or_user_is_refused_with_403(shared: Caller) -> None:
    for wrong in (
        shared.address.replace("s3cr3t", "other"),
        shared.address.replace("/rest/1/", "/rest/2/"),
    ):
        response = requests.post(wrong + "crm.deal.list", timeout=10)
        assert response.status_code == 403
        assert response.json()["error"] == "INVALID_CREDENTIALS"


def test_the_token_address_answers_401(shared: Caller) -> None:
    root = shared.address.partition("/rest/")[0]
    for query in ("", "?auth=abc"):
        response = requests.get(f"{root}/rest/crm.deal.list.json{query}", timeout=10)
        assert response.status_code == 401
        assert response.json() == {
            "error": "NO_AUTH_FOUND",
            "error_description": "Wrong authorization data",
        }


PAIRS = [
    ("filter[>ID]", "5"),
    ("filter[<=ID]", "7"),
    ("select[]", "ID"),
    ("select[]", "TITLE"),
    ("order[ID]", "DESC"),
]


def as_query(caller: Caller) -> requests.Response:
    return requests.get(caller.address + "crm.deal.list", params=PAIRS, timeout=10)


def as_form(caller: Caller) -> requests.Response:
    return requests.post(caller.address + "crm.deal.list", data=PAIRS, timeout=10)


def as_multipart(caller: Caller) -> requests.Response:
    parts = [(name, (None, value)) for name, value in PAIRS]
    return requests.post(caller.address + "crm.deal.list", files=parts, timeout=10)


def as_json(caller: Caller) -> requests.Response:
    body = {
        "filter": {">ID": 5, "<=ID": 7},
        "select": ["ID", "TITLE"],
        "order": {"ID": "DESC"},
    }
    return requests.post(caller.address + "crm.deal.list", json=body, timeout=10)


@pytest.mark.parametrize("send", [as_query, as_form, as_multipart, as_json])
def test_parameters_mean_the_same_in_every_encoding(shared: Caller, send: Any) -> None:
    rows = send(shared).json()["result"]
    assert rows == [{"ID": "7", "TITLE": "Сделка 7"}, {"ID": "6", "TITLE": "Сделка 6"}]


def test_the_body_wins_over_the_query_string(shared: Caller) -> None:
    response = requests.post(
        shared.address + "crm.deal.list?start=100", json={"start": 50}, timeout=10
    )
    assert response.json()["result"][0]["ID"] == "51"


def test_numbered_brackets_are_a_list(shared: Caller) -> None:
    body = shared.get("crm.deal.list?filter%5B%40ID%5D%5B0%5D=3&filter%5B%40ID%5D%5B1%5D=9")
    assert [row["ID"] for row in body["result"]] == ["3", "9"]


# Paging


def test_pages_hold_50_rows_and_say_what_comes_next(shared: Caller) -> None:
    seen: list[int] = []
    following: list[Any] = []
    start: int | None = 0
    while start is not None:
        body = shared.post("crm.deal.list", {"start": start})
        assert body["total"] == DEALS
        seen += [int(row["ID"]) for row in body["result"]]
        start = body.get("next")
        following.append(start)
    assert following == [50, 100, None]
    assert seen == list(range(1, DEALS + 1))


def test_a_last_page_that_is_exactly_full_has_no_next(shared: Caller) -> None:
    body = shared.post("crm.deal.list", {"filter": {"<=ID": 50}})
    assert (len(body["result"]), body["total"]) == (50, 50)
    assert "next" not in body


def test_a_start_behind_the_end_is_empty(shared: Caller) -> None:
    body = shared.post("crm.deal.list", {"start": 150})
    assert (body["result"], body["total"]) == ([], DEALS)
    assert "next" not in body


@pytest.mark.parametrize("start", [-1, "-1"])
def test_start_minus_one_does_not_count(shared: Caller, start: Any) -> None:
    body = shared.post("crm.deal.list", {"start": start, "filter": {">ID": 20}})
    assert [int(row["ID"]) for row in body["result"]] == list(range(21, 71))
    assert body["total"] == 0
    assert "next" not in body


def test_stage_history_pages_inside_its_envelope(shared: Caller) -> None:
    body = shared.post("crm.stagehistory.list", {"entityTypeId": 2, "start": 50})
    assert [row["ID"] for row in body["result"]["items"]] == list(range(51, 61))
    assert body["total"] == 60


# Filter, order, select


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({">ID": 118}, [119, 120]),
        ({">ID": "118"}, [119, 120]),
        ({">=ID": 119}, [119, 120]),
        ({"<=ID": 2}, [1, 2]),
        ({"<ID": 2}, [1]),
        ({"ID": 5}, [5]),
        ({"=ID": 5}, [5]),
        ({"id": 5}, [5]),
        ({"@ID": [4, "9", 500]}, [4, 9]),
        ({"ID": [4, 9]}, [4, 9]),
        ({"@ID": []}, []),
        ({"!@ID": [1, 2], "<=ID": 4}, [3, 4]),
        ({"!ID": 2, "<=ID": 3}, [1, 3]),
        ({"!=ID": 2, "<=ID": 3}, [1, 3]),
        ({"><ID": [5, 7]}, [5, 6, 7]),
        ({"!><ID": [3, 118]}, [1, 2, 119, 120]),
        ({"%TITLE": "12"}, [12, 112, 120]),
        ({"=%TITLE": "Сделка 11%"}, [11, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119]),
        ({"CLOSED": "Y", ">ID": 118}, [119, 120]),
        ({"CLOSED": "N", ">ID": 98}, [99, 100]),
        ({">ID": 4, "<=ID": 10, "CATEGORY_ID": 1, "STAGE_ID": "C1:NEW"}, [5, 7, 9]),
        ({"SOURCE_ID": "", "<=ID": 2}, [1, 2]),
        ({"NO_SUCH_FIELD": 1, "<=ID": 2}, [1, 2]),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "",
)
def test_filters_select_the_documented_rows(
    shared: Caller, conditions: dict[str, Any], expected: list[int]
) -> None:
    assert shared.deal_ids(conditions) == expected


@pytest.mark.parametrize(
    "bound",
    [
        "2026-01-05T22:00:00+00:00",
        "2026-01-06T01:00:00+03:00",
        "2026-01-05T17:00:00-05:00",
        "2026-01-06T01:00:00",  # no offset: the portal's
    ],
)
def test_a_date_bound_is_an_instant_whatever_its_offset(shared: Caller, bound: str) -> None:
    # 2026-01-05T22:00Z is 118 hours after New Year.
    assert shared.deal_ids({">=DATE_MODIFY": bound}) == [118, 119, 120]
    assert shared.deal_ids({">DATE_MODIFY": bound}) == [119, 120]
    assert shared.deal_ids({"<DATE_MODIFY": bound, ">ID": 116}) == [117]


def test_rows_come_in_the_asked_order(shared: Caller) -> None:
    assert shared.deal_ids({"<=ID": 3}, order={"ID": "DESC"}) == [3, 2, 1]
    assert shared.deal_ids({"<=ID": 4}, order={"CATEGORY_ID": "desc", "ID": "asc"}) == [1, 3, 2, 4]
    assert shared.deal_ids({"<=ID": 3}, order={"DATE_MODIFY": "DESC"}) == [3, 2, 1]
    assert shared.deal_ids({"<=ID": 3}) == [1, 2, 3]


def test_without_select_a_row_has_the_standard_fields_only(shared: Caller) -> None:
    row = shared.post("crm.deal.list", {"filter": {"ID": 1}})["result"][0]
    assert {"ID", "TITLE", "STAGE_ID", "DATE_MODIFY"} <= row.keys()
    assert not {name for name in row if name.startswith("UF_")}


@pytest.mark.parametrize("select", [["*", "UF_*"], {"0": "*", "1": "UF_*"}])
def test_custom_fields_come_when_selected(shared: Caller, select: Any) -> None:
    rows = shared.post("crm.deal.list", {"filter": {"@ID": [2, 3]}, "select": select})["result"]
    assert rows[0]["UF_CRM_GRADE"] == "A"
    assert rows[0]["TITLE"] == "Сделка 2"
    assert "UF_CRM_GRADE" not in rows[1]


def test_a_named_custom_field_comes_without_the_others(shared: Caller) -> None:
    body = shared.post("crm.deal.list", {"filter": {"ID": 1}, "select": ["UF_CRM_GRADE"]})
    assert body["result"] == [{"ID": "1", "UF_CRM_GRADE": "A"}]


def test_phones_of_a_contact_must_be_named(shared: Caller) -> None:
    star = shared.post("crm.contact.list", {"select": ["*"]})["result"][0]
    named = shared.post("crm.contact.list", {"select": ["*", "PHONE"]})["result"][0]
    assert "PHONE" not in star
    assert named["PHONE"] == [PHONE]


# The dialect of each method


def test_deals_print_numbers_as_strings_and_flags_as_letters(shared: Caller) -> None:
    row = shared.post("crm.deal.list", {"filter": {"ID": 1}})["result"][0]
    assert row["ID"] == "1"
    assert row["CATEGORY_ID"] == "1"
    assert row["OPPORTUNITY"] == "15000.00"
    assert row["CLOSED"] == "N"
    assert row["COMPANY_ID"] == "0"
    assert row["CONTACT_ID"] is None
    assert row["DATE_MODIFY"] == "2026-01-01T04:00:00+03:00"
    assert row["MOVED_TIME"] == ""


def test_stage_history_prints_integers(shared: Caller) -> None:
    body = shared.post("crm.stagehistory.list", {"entityTypeId": 2, "filter": {"OWNER_ID": 5}})
    assert body["result"]["items"] == [
        {
            "ID": 5,
            "TYPE_ID": 1,
            "OWNER_ID": 5,
            "CREATED_TIME": "2026-01-01T03:00:00+03:00",
            "CATEGORY_ID": 0,
            "STAGE_SEMANTIC_ID": "P",
            "STAGE_ID": "NEW",
        }
    ]


def test_stage_history_of_other_entities_is_empty(shared: Caller) -> None:
    body = shared.post("crm.stagehistory.list", {"entityTypeId": "1"})
    assert (body["result"], body["total"]) == ({"items": []}, 0)


def test_categories_print_camel_case_and_integers(shared: Caller) -> None:
    body = shared.post("crm.category.list", {"entityTypeId": 2})
    assert body["result"] == {
        "categories": [
            {"id": 0, "name": "Общая", "sort": 300, "entityTypeId": 2, "isDefault": "Y"},
            {"id": 1, "name": "Опт", "sort": 200, "entityTypeId": 2, "isDefault": "N"},
        ]
    }
    assert body["total"] == 2


def test_users_have_real_booleans_and_empty_maps_for_dates(shared: Caller) -> None:
    active, dismissed = shared.post("user.get")["result"]
    assert (active["ID"], active["ACTIVE"], dismissed["ACTIVE"]) == ("1", True, False)
    assert active["UF_DEPARTMENT"] == [2]
    assert active["LAST_LOGIN"] == "2026-01-01T04:00:00+03:00"
    assert active["LAST_ACTIVITY_DATE"] == "2026-01-01 05:00:00"
    assert dismissed["LAST_ACTIVITY_DATE"] == {}
    assert dismissed["LAST_LOGIN"] == ""
    assert active["TIMESTAMP_X"] == dismissed["TIMESTAMP_X"] == {}


def test_users_and_departments_filter_by_plain_parameters_too(shared: Caller) -> None:
    assert shared.ids("user.get", {"ID": 2}) == [2]
    assert shared.ids("user.get", {"FILTER": {"ACTIVE": True}}) == [1]
    assert shared.ids("department.get", {"PARENT": 1}) == [2]


def test_users_are_sorted_by_sort_and_order(shared: Caller) -> None:
    assert shared.ids("user.get", {"sort": "ID", "order": "DESC"}) == [2, 1]


def test_departments_have_string_ids_and_an_integer_sort(shared: Caller) -> None:
    rows = shared.post("department.get", {"sort": "SORT", "order": "ASC"})["result"]
    assert [(row["ID"], row["SORT"]) for row in rows] == [("2", 400), ("1", 500)]
    assert rows[0]["PARENT"] == "1"


def test_calls_take_upper_case_parameters_and_print_strings(shared: Caller) -> None:
    body = shared.post(
        "voximplant.statistic.get",
        {"FILTER": {">ID": 2, "CALL_TYPE": 1}, "SORT": "CALL_DURATION", "ORDER": "ASC"},
    )
    assert [row["ID"] for row in body["result"]] == ["10", "8", "6", "4"]
    assert body["total"] == 4
    first = body["result"][0]
    assert (first["CALL_DURATION"], first["CALL_TYPE"], first["CALL_FAILED_CODE"]) == (
        "90",
        "1",
        "200",
    )
    assert first["CALL_START_DATE"] == "2026-01-01T13:00:00+03:00"
    assert first["CALL_VOTE"] is None


def test_activities_are_filtered_by_type(shared: Caller) -> None:
    body = shared.post("crm.activity.list", {"filter": {"TYPE_ID": 2}})
    assert [(row["ID"], row["COMPLETED"]) for row in body["result"]] == [("1", "Y")]


def test_a_pipeline_without_stages_of_its_own_is_an_empty_list(shared: Caller) -> None:
    body = shared.post("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE_0"}})
    assert (body["result"], body["total"]) == ([], 0)


# The documented bodies


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


DOCUMENTED = {
    "crm.deal.list": {},
    "crm.contact.list": {"select": ["*", "EMAIL"]},
    "crm.status.list": {},
    "crm.category.list": {"entityTypeId": 2},
    "crm.stagehistory.list": {"entityTypeId": 2, "filter": {"ID": 1}},
    "user.get": {},
    "department.get": {},
    "voximplant.statistic.get": {},
    "server.time": {},
}


@pytest.mark.parametrize("method", DOCUMENTED)
def test_the_envelope_has_the_documented_shape(shared: Caller, method: str) -> None:
    documented = json.loads((BODIES / f"{method}.json").read_text(encoding="utf-8"))
    answered = shared.post(method, DOCUMENTED[method])
    answered.pop("next", None)
    documented.pop("next", None)
    assert answered.keys() == documented.keys()
    assert kind(answered["result"]) == kind(documented["result"])
    if isinstance(documented["result"], dict):
        assert answered["result"].keys() == documented["result"].keys()
    for name, value in documented["time"].items():
        assert kind(answered["time"][name]) == kind(value), name
    for name in ("date_start", "date_finish"):
        assert dt.datetime.fromisoformat(answered["time"][name]).tzinfo is not None


@pytest.mark.parametrize("method", [name for name in DOCUMENTED if name != "server.time"])
def test_a_field_has_the_documented_type(shared: Caller, method: str) -> None:
    def kinds(body: dict[str, Any]) -> dict[str, set[str]]:
        rows = body["result"]
        rows = rows if isinstance(rows, list) else next(iter(rows.values()))
        found: dict[str, set[str]] = {}
        for row in rows:
            for name, value in row.items():
                if value not in (None, "", [], {}):
                    found.setdefault(name, set()).add(kind(value))
        return found

    documented = kinds(json.loads((BODIES / f"{method}.json").read_text(encoding="utf-8")))
    answered = kinds(shared.post(method, DOCUMENTED[method]))
    common = documented.keys() & answered.keys()
    assert len(common) >= 2, "too little in common to compare"
    assert {name: answered[name] for name in common} == {name: documented[name] for name in common}


def test_a_batch_has_the_documented_shape(shared: Caller) -> None:
    documented = json.loads((BODIES / "batch.json").read_text(encoding="utf-8"))
    refused = json.loads((BODIES / "batch.ok.2.json").read_text(encoding="utf-8"))
    good = shared.post("batch", {"cmd": {"get_department": "department.get?ID=1"}})
    bad = shared.post("batch", {"cmd": {"get_user": "no.such.method"}})
    assert good.keys() == documented.keys()
    assert good["result"].keys() == documented["result"].keys()
    assert good["result"]["result_error"] == documented["result"]["result_error"] == []
    assert good["result"]["result_next"] == documented["result"]["result_next"] == []
    assert good["result"]["result_total"] == {"get_department": 1}
    assert {name: kind(value) for name, value in bad["result"].items()} == {
        name: kind(value) for name, value in refused["result"].items()
    }


# Batch


def test_a_batch_answers_a_map_by_its_keys(shared: Caller) -> None:
    command = f"crm.deal.list?{quote('filter[>ID]', safe='')}=119&start=-1"
    body = shared.post("batch", {"halt": 0, "cmd": {"deals": command, "users": "user.get.json"}})
    result = body["result"]
    assert [row["ID"] for row in result["result"]["deals"]] == ["120"]
    assert [row["ID"] for row in result["result"]["users"]] == ["1", "2"]
    assert result["result_total"] == {"deals": 0, "users": 2}
    assert result["result_time"].keys() == {"deals", "users"}


def test_a_batch_answers_a_list_by_position(shared: Caller) -> None:
    body = shared.post("batch", {"cmd": ["user.get", "crm.deal.list"]})
    assert body["result"]["result"].keys() == {"0", "1"}
    assert body["result"]["result_next"] == {"1": 50}


def test_a_batch_goes_by_query_string_too(shared: Caller) -> None:
    inner = quote("department.get?ID=2", safe="")
    body = shared.get(f"batch?cmd%5Bd%5D={inner}")
    assert [row["ID"] for row in body["result"]["result"]["d"]] == ["2"]


def test_an_empty_batch_prints_lists_for_maps(shared: Caller) -> None:
    assert shared.post("batch", {"cmd": {}})["result"] == {
        "result": [],
        "result_error": [],
        "result_total": [],
        "result_next": [],
        "result_time": [],
    }


def test_errors_of_a_batch_stand_inside_and_the_rest_goes_on(shared: Caller) -> None:
    body = shared.post("batch", {"cmd": {"a": "no.such.method", "b": "user.get"}})["result"]
    assert body["result_error"] == {
        "a": {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}
    }
    assert body["result"].keys() == {"b"}


@pytest.mark.parametrize("halt", [1, "1", True])
def test_halt_stops_a_batch_at_the_first_error(shared: Caller, halt: Any) -> None:
    commands = {"a": "user.get", "b": "no.such.method", "c": "user.get"}
    body = shared.post("batch", {"halt": halt, "cmd": commands})["result"]
    assert body["result"].keys() == {"a"}
    assert body["result_error"].keys() == {"b"}


def test_commands_beyond_50_are_refused(shared: Caller) -> None:
    commands = {f"c{number}": "department.get?ID=1" for number in range(52)}
    body = shared.post("batch", {"cmd": commands})["result"]
    assert len(body["result"]) == 50
    assert {key: error["error"] for key, error in body["result_error"].items()} == {
        "c50": "ERROR_BATCH_LENGTH_EXCEEDED",
        "c51": "ERROR_BATCH_LENGTH_EXCEEDED",
    }


def test_a_batch_inside_a_batch_is_refused(shared: Caller) -> None:
    body = shared.post("batch", {"cmd": {"inner": "batch?cmd[a]=user.get"}})["result"]
    assert body["result_error"]["inner"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


# Errors


def test_a_filter_that_is_no_array_has_an_empty_code(shared: Caller) -> None:
    documented = json.loads((BODIES / "crm.deal.list.error.2.json").read_text(encoding="utf-8"))
    assert shared.post("crm.deal.list", {"filter": "abc"}, status=400) == documented
    assert documented["error"] == ""


def test_an_unknown_method_is_404(shared: Caller) -> None:
    assert shared.post("crm.nothing.list", status=404)["error"] == "ERROR_METHOD_NOT_FOUND"


def test_stage_history_refuses_an_unknown_field_and_a_missing_entity(shared: Caller) -> None:
    unknown = shared.post(
        "crm.stagehistory.list", {"entityTypeId": 2, "filter": {">NOPE": 1}}, status=400
    )
    assert unknown == {
        "error": "INVALID_ARG_VALUE",
        "error_description": "Invalid filter: field 'NOPE' is not allowed in filter",
    }
    assert shared.post("crm.stagehistory.list", {}, status=400)["error"] == "INVALID_ARG_VALUE"


@pytest.mark.parametrize("body", [b'{"filter": ', b"\xff\xfe", b"[1]", b'"text"'])
def test_a_body_that_is_no_json_object_is_refused(shared: Caller, body: bytes) -> None:
    response = requests.post(
        shared.address + "crm.deal.list",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    assert response.status_code == 400
    assert response.json()["error"] == "INVALID_REQUEST"


def test_a_method_outside_of_the_scopes_is_refused(caller: Caller) -> None:
    caller.portal.scopes = ("crm",)
    assert caller.post("user.get", status=403)["error"] == "insufficient_scope"
    assert caller.post("crm.deal.list")["total"] == DEALS
    assert caller.post("scope")["result"] == ["crm"]


def test_planted_faults_are_answered_once_each(caller: Caller) -> None:
    caller.portal.faults["crm.deal.list"] = [MethodError(400, 0, "odd"), MethodError(429, "X", "y")]
    assert caller.post("crm.deal.list", status=400) == {"error": 0, "error_description": "odd"}
    assert caller.post("crm.deal.list", status=429)["error"] == "X"
    assert caller.post("crm.deal.list")["total"] == DEALS


# Limit and clock


def test_a_full_bucket_answers_503_until_it_drains(caller: Caller) -> None:
    moment = [1_000.0]
    caller.portal.bucket = LeakyBucket(drain_per_second=2, threshold=50, now=lambda: moment[0])
    for _ in range(50):
        caller.post("server.time")
    documented = {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
    assert caller.post("server.time", status=503) == documented
    moment[0] += 0.4  # 0.8 of a request has leaked
    caller.post("server.time", status=503)
    moment[0] += 0.1  # one request has leaked
    caller.post("server.time")
    caller.post("server.time", status=503)
    moment[0] += 25  # all of it
    for _ in range(50):
        caller.post("server.time")
    caller.post("server.time", status=503)


def test_a_batch_is_one_request_of_the_limit(caller: Caller) -> None:
    caller.portal.bucket = LeakyBucket(threshold=2, now=lambda: 0.0)
    for _ in range(2):
        caller.post("batch", {"cmd": {f"c{n}": "department.get?ID=1" for n in range(50)}})
    caller.post("batch", {"cmd": {"c": "department.get"}}, status=503)


def test_the_virtual_clock_stands_still_until_it_is_moved(caller: Caller) -> None:
    for _ in range(2):
        body = caller.post("server.time")
        assert body["result"] == "2026-01-31T15:00:00+03:00"
        assert body["time"]["date_finish"] == "2026-01-31T15:00:00+03:00"
        assert body["time"]["finish"] == CLOCK.timestamp()
    caller.portal.store.clock = CLOCK + dt.timedelta(hours=10)
    body = caller.post("crm.deal.list")
    assert body["time"]["date_start"] == "2026-02-01T01:00:00+03:00"
    assert body["time"]["start"] == CLOCK.timestamp() + 36_000
    assert caller.post("server.time")["result"] == "2026-02-01T01:00:00+03:00"


def test_a_deleted_deal_takes_its_history_with_it(tmp_path: Path) -> None:
    with PortalStore(tmp_path / "portal.sqlite") as store:
        fill(store)
        store.delete("deal", 5)
        with serve_in_thread(Portal(store)) as address:
            shrunk = Caller(Portal(store), address)
            assert shrunk.deal_ids({"@ID": [4, 5, 6]}) == [4, 6]
            history = {"entityTypeId": 2, "filter": {"@OWNER_ID": [4, 5]}}
            assert shrunk.ids("crm.stagehistory.list", history) == [4]
