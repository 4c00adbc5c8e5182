"""The OAuth application: codes that live 30 seconds, tokens that expire, refreshes that rotate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from tests.support.portals import call_row, deal_row, make_portal

CLIENT = {"client_id": "local.1", "client_secret": "s3cr3t"}


@dataclass
class Office:
    """A portal with an application, on a clock that tests move."""

    portal: Portal
    oauth: OAuthServer
    root: str = ""
    now: list[float] = field(default_factory=lambda: [1_000_000.0])

    def authorize(self, **more: str) -> requests.Response:
        parameters = {"client_id": "local.1", "state": "xyz", **more}
        return requests.get(
            self.root + "/oauth/authorize/", params=parameters, allow_redirects=False, timeout=10
        )

    def code(self) -> str:
        query = parse_qs(urlsplit(self.authorize().headers["location"]).query)
        return query["code"][0]

    def token(self, status: int = 200, **parameters: str) -> dict[str, Any]:
        given = {**CLIENT, **parameters}
        response = requests.get(self.root + "/oauth/token/", params=given, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    def first(self) -> dict[str, Any]:
        return self.token(grant_type="authorization_code", code=self.code())

    def refresh(self, token: str, status: int = 200) -> dict[str, Any]:
        return self.token(status, grant_type="refresh_token", refresh_token=token)

    def ask(self, token: str, method: str = "crm.deal.list", status: int = 200) -> dict[str, Any]:
        response = requests.post(f"{self.root}/rest/{method}", json={"auth": token}, timeout=10)
        assert response.status_code == status, response.text
        return response.json()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        store.insert("deal", (deal_row(n, CATEGORY_ID=n % 2) for n in range(1, 4)))
        store.insert("call", (call_row(n, n, PORTAL_USER_ID=n) for n in range(1, 4)))
        oauth = OAuthServer(**CLIENT, redirect_uri="https://app.example/back")
        office = Office(Portal(store, oauth=oauth), oauth)
        oauth.now = lambda: office.now[0]
        with serve_in_thread(office.portal) as address:
            office.root = address.partition("/rest/")[0]
            yield office


def test_the_browser_comes_back_with_a_code(office: Office) -> None:
    answer = office.authorize()
    assert answer.status_code == 302
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == "https://app.example/back"
    query = {name: values[0] for name, values in parse_qs(location.query).items()}
    assert query.pop("code")
    assert query == {
        "state": "xyz",
        "domain": urlsplit(office.root).netloc,
        "member_id": office.oauth.member_id,
        "scope": ",".join(office.oauth.scopes),
        "server_domain": "oauth.bitrix.info",
    }


def test_a_code_becomes_tokens_with_the_documented_fields(office: Office) -> None:
    answer = office.first()
    assert answer.pop("access_token") != answer.pop("refresh_token")
    assert answer == {
        "expires_in": 3600,
        "expires": 1_003_600,
        "client_endpoint": office.root + "/rest/",
        "server_endpoint": "https://oauth.bitrix.info/rest/",
        "domain": "oauth.bitrix.info",
        "member_id": office.oauth.member_id,
        "scope": ",".join(office.oauth.scopes),
        "status": "L",
        "user_id": 1,
    }
    assert len(office.oauth.member_id) == 32
    assert int(office.oauth.member_id, 16)


def test_a_code_serves_once_and_for_30_seconds(office: Office) -> None:
    code = office.code()
    office.token(grant_type="authorization_code", code=code)
    again = office.token(400, grant_type="authorization_code", code=code)
    assert again["error"] == "invalid_grant"
    late = office.code()
    office.now[0] += 30
    assert office.token(400, grant_type="authorization_code", code=late)["error"] == "invalid_grant"
    assert office.oauth.granted == 1


def by_query(root: str, token: str) -> requests.Response:
    return requests.get(f"{root}/rest/crm.deal.list.json?auth={token}&start=0", timeout=10)


def by_json(root: str, token: str) -> requests.Response:
    return requests.post(f"{root}/rest/crm.deal.list", json={"auth": token}, timeout=10)


def by_form(root: str, token: str) -> requests.Response:
    return requests.post(f"{root}/rest/crm.deal.list/", data={"auth": token}, timeout=10)


@pytest.mark.parametrize("send", [by_query, by_json, by_form])
def test_a_token_opens_the_portal_wherever_it_stands(office: Office, send: Any) -> None:
    assert send(office.root, office.first()["access_token"]).json()["total"] == 3
    refused = send(office.root, "unknown")
    assert refused.status_code == 401
    assert refused.json()["error"] == "NO_AUTH_FOUND"


def test_a_batch_goes_by_token_too(office: Office) -> None:
    body = {"auth": office.first()["access_token"], "cmd": {"deals": "crm.deal.list"}}
    answer = requests.post(office.root + "/rest/batch.json", json=body, timeout=10).json()
    assert answer["result"]["result_total"] == {"deals": 3}


def test_a_token_expires_after_an_hour(office: Office) -> None:
    tokens = office.first()
    office.now[0] += 3599
    office.ask(tokens["access_token"])
    office.now[0] += 1
    assert office.ask(tokens["access_token"], status=401)["error"] == "expired_token"


def test_a_refresh_brings_new_tokens_and_ends_the_old_refresh_token(office: Office) -> None:
    old = office.first()
    office.oauth.expire_access_tokens()
    assert office.ask(old["access_token"], status=401)["error"] == "expired_token"
    new = office.refresh(old["refresh_token"])
    assert new["refresh_token"] != old["refresh_token"]
    office.ask(new["access_token"])
    assert office.refresh(old["refresh_token"], 400)["error"] == "invalid_grant"
    office.refresh(new["refresh_token"])
    assert office.oauth.refreshes == 2, "refused refreshes are not served"


def test_a_refresh_token_lives_180_days(office: Office) -> None:
    first = office.first()
    office.now[0] += 180 * 86_400 - 1
    second = office.refresh(first["refresh_token"])
    office.now[0] += 180 * 86_400
    assert office.refresh(second["refresh_token"], 400)["error"] == "invalid_grant"


def test_bad_token_requests_say_why(office: Office) -> None:
    assert office.token(400)["error"] == "invalid_request"
    assert office.token(400, grant_type="password", code="x")["error"] == "invalid_request"
    assert office.token(400, grant_type="refresh_token")["error"] == "invalid_request"
    wrong = {"grant_type": "refresh_token", "refresh_token": office.first()["refresh_token"]}
    assert office.token(400, **wrong, client_secret="no")["error"] == "invalid_client"
    assert office.token(400, **wrong, client_id="no")["error"] == "invalid_client"
    assert office.token(**wrong)["access_token"], "a refused request costs no token"
    assert office.authorize(client_id="no").json()["error"] == "invalid_client"


def test_an_unpaid_application_gets_no_tokens(office: Office) -> None:
    office.oauth.paid = False
    answer = office.token(401, grant_type="authorization_code", code=office.code())
    assert answer == {"error": "PAYMENT_REQUIRED", "error_description": "Payment required"}


def test_a_token_request_may_be_posted(office: Office) -> None:
    form = {**CLIENT, "grant_type": "authorization_code", "code": office.code()}
    response = requests.post(office.root + "/oauth/token/", data=form, timeout=10)
    assert response.json()["expires_in"] == 3600


def test_an_application_has_scopes_and_rights(office: Office) -> None:
    token = office.oauth.issue()["access_token"]
    office.oauth.scopes = ("crm", "telephony")
    office.oauth.categories, office.oauth.calls, office.oauth.user_id = {1}, "own", 2
    assert office.ask(token, "user.get", 403)["error"] == "insufficient_scope"
    assert office.ask(token)["total"] == 2
    assert [row["ID"] for row in office.ask(token, "voximplant.statistic.get")["result"]] == ["2"]


def test_secrets_do_not_stand_in_the_printed_form(office: Office) -> None:
    token = office.first()["access_token"]
    assert "s3cr3t" not in repr(office.oauth)
    assert token not in repr(office.oauth)
