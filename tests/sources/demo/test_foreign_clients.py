"""Clients of Bitrix24 that others wrote read the demo portal to the last row, unmodified."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from b24pysdk import BitrixApp, BitrixToken, BitrixWebhook, Client
from bitrix24 import Bitrix24
from fast_bitrix24 import BitrixAsync

from sources.demo.certificates import TlsFiles, issue_certificate
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import PortalStore
from tests.support.hosts import redirect
from tests.support.portals import call_row, deal_row, history_row, make_portal

HOST = "sales.bitrix24.example"
TABLES = {
    "crm.deal.list": "deal",
    "crm.stagehistory.list": "stage_history",
    "voximplant.statistic.get": "call",
    "user.get": "user",
}
PARAMETERS: dict[str, dict[str, Any]] = {"crm.stagehistory.list": {"entityTypeId": 2}}
METHODS = pytest.mark.parametrize("method", TABLES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalStore]:
    """330 deals, 700 steps, 260 calls, 60 users; ids with gaps."""
    with make_portal(tmp_path_factory.mktemp("portal") / "portal.sqlite") as store:
        store.insert("deal", (deal_row(3 * n) for n in range(1, 331)))
        store.insert(
            "stage_history", (history_row(2 * n, 3 + 3 * (n % 330), n, "WORK") for n in range(700))
        )
        store.insert("call", (call_row(5 * n, -n) for n in range(1, 261)))
        store.insert("user", ({"ID": n, "ACTIVE": n % 7 > 0} for n in range(2, 61)))
        yield store


@pytest.fixture(scope="module")
def portal(store: PortalStore) -> Portal:
    return Portal(store, code="t0psecret")


@pytest.fixture
def oauth(portal: Portal) -> Iterator[OAuthServer]:
    portal.oauth = OAuthServer("local.1", "s3cr3t")
    yield portal.oauth
    portal.oauth = None


@pytest.fixture(scope="module")
def plain(portal: Portal) -> Iterator[str]:
    with serve_in_thread(portal) as address:
        yield address


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return issue_certificate(tmp_path_factory.mktemp("tls"), [HOST, "oauth.bitrix24.tech"])


@pytest.fixture(scope="module")
def secure(portal: Portal, tls: TlsFiles) -> Iterator[str]:
    with serve_in_thread(portal, tls=tls) as address:
        yield address


@pytest.fixture
def at_host(secure: str, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> str:
    """`host:port` of the portal under names that lead to loopback in this process only."""
    redirect({HOST: None}, monkeypatch)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca_file))
    return f"{HOST}:{urlsplit(secure).port}"


def stored(store: PortalStore, method: str) -> list[int]:
    return [row[0] for row in store.query(f'select "ID" from {TABLES[method]} order by "ID"')]


def read(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(int(row["ID"]) for row in rows)


# fast-bitrix24: pages by `start`, 50 of them to a batch


@METHODS
def test_fast_bitrix24_reads_everything(store: PortalStore, plain: str, method: str) -> None:
    async def everything() -> list[dict[str, Any]]:
        return await BitrixAsync(plain, verbose=False).get_all(method, PARAMETERS.get(method))

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # it only warns of missing rows
        assert read(asyncio.run(everything())) == stored(store, method)


def test_fast_bitrix24_refreshes_an_expired_token_once(
    store: PortalStore, oauth: OAuthServer, plain: str
) -> None:
    oauth.served_at = plain.partition("/rest/")[0]
    tokens = oauth.issue()
    oauth.expire_access_tokens()
    given = [tokens["access_token"]]

    async def token() -> str:
        # It asks for the first token too; that one has expired already.
        if given:
            return given.pop()
        answer = oauth.token(
            {
                "grant_type": "refresh_token",
                "client_id": oauth.client_id,
                "client_secret": oauth.client_secret,
                "refresh_token": tokens["refresh_token"],
            }
        )
        return str(answer["access_token"])

    async def everything() -> list[dict[str, Any]]:
        client = BitrixAsync(tokens["client_endpoint"], token_func=token, verbose=False)
        return await client.get_all("crm.deal.list")

    assert read(asyncio.run(everything())) == stored(store, "crm.deal.list")
    assert oauth.refreshes == 1


# bitrix24-rest: counted pages side by side, by GET


@METHODS
def test_bitrix24_rest_reads_everything(store: PortalStore, plain: str, method: str) -> None:
    async def everything() -> Any:
        return await Bitrix24(plain).callMethod(method, dict(PARAMETERS.get(method, {})))

    result = asyncio.run(everything())
    assert read(result["items"] if isinstance(result, dict) else result) == stored(store, method)


# b24pysdk: the vendor's own, https only


@METHODS
@pytest.mark.parametrize("fast", [False, True], ids=["counted", "chained"])
def test_b24pysdk_reads_everything(
    store: PortalStore, portal: Portal, at_host: str, method: str, fast: bool
) -> None:
    webhook = BitrixWebhook(domain=at_host, webhook_token=f"{portal.user_id}/{portal.code}")
    call = webhook.call_list_fast if fast else webhook.call_list
    answer = call(api_method=method, params=dict(PARAMETERS.get(method, {})))
    assert read(list(answer["result"])) == stored(store, method)


def test_b24pysdk_reads_through_its_objects(
    store: PortalStore, portal: Portal, at_host: str
) -> None:
    client = Client(BitrixWebhook(domain=at_host, webhook_token=f"{portal.user_id}/{portal.code}"))
    deals = client.crm.deal.list(select=["ID", "STAGE_ID"]).as_list().result
    assert read(deals) == stored(store, "crm.deal.list")
    fast = client.crm.deal.list(filter={">ID": 300}).as_list_fast().result
    assert read(list(fast)) == [number for number in stored(store, "crm.deal.list") if number > 300]


def test_b24pysdk_refreshes_an_expired_token_once(
    store: PortalStore,
    oauth: OAuthServer,
    at_host: str,
    secure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oauth.portal_url = f"https://{at_host}"
    redirect({"oauth.bitrix24.tech": urlsplit(secure).port}, monkeypatch)
    tokens = oauth.issue()
    oauth.expire_access_tokens()
    token = BitrixToken(
        domain=at_host,
        auth_token=tokens["access_token"],
        refresh_token=tokens["refresh_token"],
        bitrix_app=BitrixApp(client_id=oauth.client_id, client_secret=oauth.client_secret),
    )
    answer = token.call_list(api_method="crm.deal.list", params={})
    assert read(answer["result"]) == stored(store, "crm.deal.list")
    assert oauth.refreshes == 1
    assert token.refresh_token != tokens["refresh_token"]
