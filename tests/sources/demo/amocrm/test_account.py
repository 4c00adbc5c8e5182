"""Who may call the account, how often, and what goes wrong on schedule."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pydantic
import pytest
import requests

from sources.demo.amocrm.oauth import AmoOAuth
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.problems import Problem
from sources.demo.amocrm.store import ENTITIES, AmoStore
from sources.demo.certificates import issue_certificate
from sources.demo.faults import FaultPlan
from sources.demo.limiter import SlidingWindow
from sources.demo.server import serve_in_thread
from sources.errors import InputError
from tests.support.amo_accounts import lead_row, make_account
from tests.support.portals import NOON, at

BODIES = Path(__file__).parents[3] / "data" / "amocrm"
CLIENT = {
    "client_id": "8f2c",
    "client_secret": "s3cr3t",
    "redirect_uri": "https://application.example/callback",
}


@dataclass
class Office:
    """An account with an integration, and a limit on a clock that tests move."""

    portal: AmoPortal
    store: AmoStore
    oauth: AmoOAuth
    address: str = ""
    now: list[float] = field(default_factory=lambda: [0.0])

    def get(self, path: str = "leads", token: str = "demo") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"{self.address}api/v4/{path}", headers=headers, timeout=10)

    def token(self, status: int = 200, **given: str) -> dict[str, Any]:
        response = requests.post(
            self.address + "oauth2/access_token", json={**CLIENT, **given}, timeout=10
        )
        assert response.status_code == status, response.text
        return response.json()

    def first(self) -> dict[str, Any]:
        return self.token(grant_type="authorization_code", code=self.oauth.code())

    def refresh(self, token: str, status: int = 200) -> dict[str, Any]:
        return self.token(status, grant_type="refresh_token", refresh_token=token)

    def plan(self, *rules: Mapping[str, Any]) -> FaultPlan:
        self.portal.fault_plan = FaultPlan(
            [{"method": "leads", **rule} for rule in rules], entities=ENTITIES
        )
        return self.portal.fault_plan


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with make_account(tmp_path / "account.sqlite") as store:
        store.insert("lead", (lead_row(number) for number in range(1, 5)))
        oauth = AmoOAuth(CLIENT["client_id"], CLIENT["client_secret"])
        office = Office(AmoPortal(store, oauth=oauth), store, oauth)
        with serve_in_thread(office.portal) as address:
            office.address = address
            yield office


def documented(name: str) -> Any:
    return json.loads((BODIES / "errors" / f"{name}.json").read_text(encoding="utf-8"))


# Tokens


def test_a_long_lived_token_opens_the_account(office: Office) -> None:
    assert office.get().status_code == 200
    assert office.get().headers["content-type"] == "application/hal+json"
    for token in ("", "wrong"):
        refused = office.get(token=token)
        assert refused.status_code == 401
        assert refused.json() == documented("401")
    assert office.portal.requests == 2
    office.portal.token = ""
    assert office.get(token="").status_code == 401


def test_a_code_becomes_tokens_once_and_for_twenty_minutes(office: Office) -> None:
    code = office.oauth.code()
    tokens = office.token(grant_type="authorization_code", code=code)
    assert sorted(tokens) == ["access_token", "expires_in", "refresh_token", "token_type"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 86_400)
    assert office.get(token=tokens["access_token"]).status_code == 200
    again = office.token(400, grant_type="authorization_code", code=code)
    assert again["hint"] == "Authorization code has been revoked"
    late = office.oauth.code()
    office.store.clock = NOON.replace(hour=12, minute=20)
    refused = office.token(400, grant_type="authorization_code", code=late)
    assert refused["hint"] == "Authorization code has expired"


def test_a_refresh_token_serves_once(office: Office) -> None:
    old = office.first()
    new = office.refresh(old["refresh_token"])
    assert new["refresh_token"] != old["refresh_token"]
    refused = office.refresh(old["refresh_token"], 401)
    assert refused["hint"] == "Token has been revoked"
    assert refused["status"] == 401
    assert office.refresh("unknown", 401)["hint"] == "Cannot decrypt the refresh token"
    office.refresh(new["refresh_token"])
    assert (office.oauth.granted, office.oauth.refreshes) == (1, 2)


def test_an_access_token_lives_a_day_of_the_virtual_clock(office: Office) -> None:
    tokens = office.first()
    office.store.clock = NOON.replace(day=3, hour=11, minute=59, second=59)
    assert office.get(token=tokens["access_token"]).status_code == 200
    office.store.clock = NOON.replace(day=3)
    assert office.get(token=tokens["access_token"]).status_code == 401
    fresh = office.refresh(tokens["refresh_token"])["access_token"]
    assert office.get(token=fresh).status_code == 200
    office.oauth.expire_access_tokens()
    assert office.get(token=fresh).status_code == 401


def test_an_access_token_says_when_it_ends_and_where_the_api_is(office: Office) -> None:
    def claims() -> dict[str, Any]:
        token = office.oauth.issue()["access_token"]
        return jwt.decode(token, options={"verify_signature": False}, algorithms=["RS256"])

    told = claims()
    assert (told["aud"], told["exp"] - told["iat"]) == (CLIENT["client_id"], 86_400)
    assert dt.datetime.fromtimestamp(told["iat"], dt.UTC) == NOON
    assert "api_domain" not in told
    office.oauth.api_domain = "api-b.amocrm.ru"
    assert claims()["api_domain"] == "api-b.amocrm.ru"


def test_bad_token_requests_say_why(office: Office) -> None:
    good = {"grant_type": "refresh_token", "refresh_token": office.first()["refresh_token"]}
    for status, given, hint in (
        (400, {"grant_type": "password"}, "Check the `grant_type` parameter"),
        (400, {"grant_type": "refresh_token"}, "Check the `refresh_token` parameter"),
        (401, {**good, "client_secret": "no"}, "Client authentication failed"),
        (400, {**good, "redirect_uri": "https://x.example"}, "Check the `redirect_uri` parameter"),
    ):
        assert office.token(status, **given)["hint"] == hint
    assert office.token(**good)["access_token"], "a refused request costs no token"


def test_an_account_that_moved_says_where(office: Office) -> None:
    tokens = office.first()

    def ask() -> dict[str, Any]:
        return requests.get(
            office.address + "oauth2/account/current/subdomain",
            headers={"X-Refresh-Token": tokens["refresh_token"]},
            timeout=10,
        ).json()

    assert ask()["domain"] == office.address.split("/")[2]
    office.oauth.moved_to = "new.amocrm.ru"
    office.refresh(tokens["refresh_token"], 404)
    assert ask() == {
        "id": 31,
        "subdomain": "example",
        "domain": "new.amocrm.ru",
        "top_level_domain": "ru",
    }


def test_secrets_do_not_stand_in_the_printed_form(office: Office) -> None:
    tokens = office.first()
    for secret in (
        "s3cr3t",
        "demo'",
        *(tokens[name] for name in ("access_token", "refresh_token")),
    ):
        assert secret not in repr(office.portal)


# Rights, money, limits


def test_only_administrators_list_users(office: Office) -> None:
    office.portal.is_admin = False
    assert office.get("users").status_code == 403
    assert office.get("users/1").json() == documented("403.scope")
    assert office.get("leads").status_code == 200


def test_an_unpaid_account_answers_402(office: Office) -> None:
    office.portal.is_paid = False
    assert office.get().json() == documented("402")
    assert office.get().status_code == 402


def test_seven_requests_a_second_are_admitted(office: Office) -> None:
    office.portal.bucket = SlidingWindow(now=lambda: office.now[0])
    assert [office.get().status_code for _ in range(9)] == [200] * 7 + [429] * 2
    assert office.get().json() == documented("429")
    office.now[0] += 0.999
    assert office.get().status_code == 429
    office.now[0] += 0.001
    assert office.get().status_code == 200


def test_a_streak_of_refusals_blocks_everything_until_it_is_lifted(office: Office) -> None:
    office.portal.bucket = SlidingWindow(requests=1, now=lambda: office.now[0])
    office.portal.block_after = 2
    assert [office.get().status_code for _ in range(3)] == [200, 429, 429]
    office.now[0] += 1
    assert [office.get().status_code for _ in range(4)] == [200, 429, 429, 403]
    office.now[0] += 3_600
    blocked = office.get("account")
    assert blocked.status_code == 403
    assert blocked.headers["content-type"].startswith("text/html")
    assert blocked.text.split() == (BODIES / "errors" / "403.blocked.html").read_text().split()
    assert office.get(token="wrong").status_code == 403
    office.portal.blocked = False
    assert office.get().status_code == 200


# The clock


def test_every_answer_carries_the_date_of_the_virtual_clock(office: Office) -> None:
    answers = [office.get(), office.get("events"), office.get("nothing"), office.get(token="no")]
    assert [answer.status_code for answer in answers] == [200, 204, 404, 401]
    for answer in answers:
        assert answer.headers["date"] == "Mon, 02 Mar 2026 12:00:00 GMT"
        assert answer.raw.headers.getlist("date") == ["Mon, 02 Mar 2026 12:00:00 GMT"]


def test_https_is_served_too(office: Office, tmp_path: Path) -> None:
    tls = issue_certificate(tmp_path / "tls")
    with serve_in_thread(office.portal, tls=tls) as address, requests.Session() as session:
        session.trust_env = False  # an authority named by the environment would win
        session.verify = str(tls.ca_file)
        session.headers["Authorization"] = "Bearer demo"
        body = session.get(address + "api/v4/leads?limit=1", timeout=10).json()
        assert address.startswith("https://127.0.0.1:")
        assert body["_links"]["next"]["href"].startswith(address)
        assert session.get(body["_links"]["next"]["href"], timeout=10).json()["_page"] == 2


# Faults


@pytest.mark.parametrize(
    ("action", "status", "name"),
    [
        ("query_limit", 429, "429"),
        ("expired_token", 401, "401"),
    ],
)
def test_a_planned_refusal_has_the_documented_body(
    office: Office, action: str, status: int, name: str
) -> None:
    office.plan({"action": action})
    refused = office.get()
    assert (refused.status_code, refused.json()) == (status, documented(name))
    assert office.get().status_code == 200


def test_a_planned_block_and_a_server_error(office: Office) -> None:
    office.plan({"action": "overload"}, {"action": "server_error", "nth": 2})
    assert office.get().text.startswith("<html>")
    broken = office.get()
    assert broken.status_code == 500
    assert documented("500").items() <= broken.json().items()
    assert office.get().status_code == 200


@pytest.mark.parametrize(
    ("action", "status"), [("bad_gateway", 502), ("html", 200), ("not_json", 200)]
)
def test_a_planned_answer_is_no_json(office: Office, action: str, status: int) -> None:
    office.plan({"action": action})
    answer = office.get()
    assert answer.status_code == status
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()
    assert office.get().json()["_page"] == 1


def test_a_connection_breaks_before_or_inside_an_answer(office: Office) -> None:
    office.plan({"action": "half_body"}, {"action": "reset", "nth": 2})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        office.get()
    with pytest.raises(requests.exceptions.ConnectionError):
        office.get()
    assert office.get().status_code == 200


def test_a_page_repeats_and_a_limit_falls_without_a_word(office: Office) -> None:
    office.plan(
        {"action": "misread", "parameters": {"page": 1, "limit": 2}, "where": {"page": 2}},
        {"action": "misread", "parameters": {"page": 99}, "nth": 2},
    )
    body = office.get("leads?page=2&limit=3").json()
    assert (body["_page"], [lead["id"] for lead in body["_embedded"]["leads"]]) == (2, [1, 2])
    assert "next" in body["_links"]
    assert office.get("leads?page=1").status_code == 204


def test_an_error_names_its_status_and_detail(office: Office) -> None:
    office.plan({"action": "error", "status": 504, "description": "heavy"})
    refused = office.get()
    assert (refused.status_code, refused.json()["title"]) == (504, "Gateway Timeout")
    assert refused.json()["detail"] == "heavy"
    office.portal.fault_plan = None
    office.portal.faults["leads"] = [Problem(403, "Invalid scope")]
    assert [office.get().status_code for _ in range(2)] == [403, 200]


def test_a_fault_waits_for_its_page_and_its_address(office: Office) -> None:
    plan = office.plan(
        {"action": "server_error", "where": {"page": 2}},
        {"action": "server_error", "method": "leads/{id}", "where": {"id": 3}},
        {"action": "server_error", "method": "leads/notes", "where": {"filter[note_type][]": "x"}},
    )
    paths = ("leads?limit=2", "leads?limit=2&page=2", "leads/2", "leads/3", "leads/notes")
    assert [office.get(path).status_code for path in paths] == [200, 500, 200, 500, 204]
    assert office.get("leads/notes?filter[note_type][]=x").status_code == 500
    assert plan.fired["server_error"] == 3


def test_records_change_between_pages(office: Office) -> None:
    office.plan(
        {
            "action": "change",
            "entity": "lead",
            "id": 1,
            "row": {"updated_at": "2026-03-02T13:00:00+00:00", "price": 5},
            "where": {"page": 2},
        },
        {"action": "insert", "entity": "lead", "row": lead_row(9, created_at=at(1)), "nth": 3},
        {"action": "delete", "entity": "lead", "id": 2, "nth": 3},
    )

    def ids(page: int) -> list[int]:
        path = f"leads?limit=2&order[updated_at]=asc&page={page}"
        return [lead["id"] for lead in office.get(path).json()["_embedded"]["leads"]]

    assert ids(1) == [1, 2]
    assert ids(2) == [4, 1], "the third lead has moved to the first page, unseen"
    assert ids(1) == [3, 4]
    assert office.get("leads?with=only_deleted").json()["_embedded"]["leads"][0]["id"] == 2


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"action": "insert", "entity": "deal", "row": {"ID": 1}}, "entity must be one of account"),
        ({"action": "insert", "entity": "status", "row": {"id": 1}}, "pipeline_id and id"),
        ({"action": "delete", "entity": "status", "id": 1}, "pipeline_id and id"),
        ({"action": "change", "entity": "lead", "id": 1, "row": {"ID": 2}}, "no field ID"),
    ],
)
def test_an_impossible_change_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        FaultPlan([{"method": "leads", **rule}], entities=ENTITIES)


def test_a_plan_of_the_account_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    rule = {"method": "leads", "action": "delete", "entity": "status", "id": [100, 1001]}
    path.write_text(json.dumps({"rules": [rule]}))
    assert FaultPlan.read(path, entities=ENTITIES).writes
    with pytest.raises(InputError, match="id needs ID"):
        FaultPlan.read(path)
