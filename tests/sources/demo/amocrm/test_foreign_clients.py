"""Clients of amoCRM that others wrote read the stand-in to the last row, unmodified.

All three speak https to `<subdomain>.amocrm.ru` only, or do so by default.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aioamocrm import (
    AccountMovedError,
    AmoCRMClient,
    JsonFileTokenStorage,
    LongLivedToken,
    OAuth2,
    TokenSet,
)
from amochka import AmoCRMClient as AmochkaClient
from amochka import CacheConfig
from amocrm.v2 import Company, Contact, Event, Lead, Pipeline, Status, Tag, Task, User
from amocrm.v2.entity.custom_field import CustomFieldModel
from amocrm.v2.entity.lead import LeadsInteraction
from amocrm.v2.filters import DateRangeFilter, SingleListFilter
from amocrm.v2.tokens import MemoryTokensStorage, TokenManager, default_token_manager

from sources.demo.amocrm.oauth import AmoOAuth
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import AmoStore
from sources.demo.certificates import TlsFiles, issue_certificate
from sources.demo.server import serve_in_thread
from tests.support.amo_accounts import (
    NEW,
    OLD,
    SALES,
    TALKS,
    client_row,
    lead_row,
    make_account,
    move_row,
    note_row,
    task_row,
)
from tests.support.hosts import redirect
from tests.support.portals import NOON, at

HOST, MOVED_HOST, API_HOST = "example.amocrm.ru", "new.amocrm.ru", "api-b.amocrm.ru"
LIVED_IN = 3
"""The lead with all the notes and some tasks."""
KEYS = {"client_id": "8f2c", "client_secret": "s3cr3t"}
REDIRECT = "https://application.example/callback"
DAY = 86_400

# Those that stand in the recycle bin are no part of a list.
STORED = {
    "leads": "select id from lead where is_deleted = 0",
    "contacts": "select id from contact",
    "companies": "select id from company",
    "tasks": "select id from task",
    "lead notes": "select id from note where entity_type = 'leads'",
    "contact notes": "select id from note where entity_type = 'contacts'",
    "events": "select id from event",
    "users": "select id from user",
    "pipelines": "select id from pipeline",
    "statuses": f"select id from status where pipeline_id = {SALES}",
    "custom fields": "select id from custom_field where entity_type = 'leads'",
    "lead tags": "select id from tag where entity_type = 'leads'",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmoStore]:
    """Several pages of everything that is listed in pages; ids with gaps."""
    with make_account(tmp_path_factory.mktemp("account") / "account.sqlite") as store:
        store.insert(
            "lead",
            (
                lead_row(
                    3 * n,
                    pipeline_id=SALES if n % 5 else OLD,
                    updated_at=at(n),
                    is_deleted=n == 7,
                    contacts=[{"id": 2 * n, "is_main": True}] if n <= 510 else [],
                    custom_fields_values=[
                        {
                            "field_id": 9,
                            "field_name": "Product",
                            "field_code": None,
                            "field_type": "text",
                            "values": [{"value": f"Pump {n}"}],
                        }
                    ],
                )
                for n in range(1, 621)
            ),
        )
        store.insert("contact", (client_row(2 * n, company_id=5) for n in range(1, 511)))
        store.insert("company", (client_row(5 * n) for n in range(1, 261)))
        store.insert("task", (task_row(n, LIVED_IN * (1 + n % 20)) for n in range(1, 302)))
        store.insert("note", (note_row(2 * n, "leads", LIVED_IN) for n in range(1, 271)))
        store.insert("note", (note_row(2 * n + 1, "contacts", 2) for n in range(1, 253)))
        store.insert("event", (move_row(n, 3 * n, n, NEW, TALKS) for n in range(1, 231)))
        for n in range(1, 21):
            store.add_event("lead_added", entity_id=3 * n)
            store.add_event(
                "entity_responsible_changed",
                entity_id=3 * n,
                value_before=[{"responsible_user": {"id": 1}}],
                value_after=[{"responsible_user": {"id": 2}}],
            )
        store.insert(
            "user",
            (
                {
                    "id": n,
                    "name": f"User {n}",
                    "is_active": 1,
                    "is_admin": 0,
                    "is_free": 0,
                    "email": f"u{n}@example.com",
                    "lang": "ru",
                }
                for n in range(3, 271)
            ),
        )
        store.insert(
            "custom_field",
            (
                {
                    "id": 9 * n,
                    "entity_type": "leads",
                    "name": f"Field {n}",
                    "type": "text",
                    "sort": n,
                    "is_deletable": 1,
                    "is_api_only": 0,
                    "is_predefined": 0,
                }
                for n in range(1, 61)
            ),
        )
        store.insert(
            "tag", ({"id": n, "entity_type": "leads", "name": f"Tag {n}"} for n in range(1, 261))
        )
        yield store


@pytest.fixture(scope="module")
def portal(store: AmoStore) -> AmoPortal:
    return AmoPortal(store)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp("tls")
    return issue_certificate(folder, [HOST, MOVED_HOST, API_HOST])


@pytest.fixture(scope="module")
def port(portal: AmoPortal, tls: TlsFiles) -> Iterator[int | None]:
    with serve_in_thread(portal, tls=tls) as address:
        # The links between pages name the host that was asked.
        portal.served_at = ""
        yield urlsplit(address).port


@pytest.fixture
def account(
    portal: AmoPortal, port: int | None, tls: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AmoPortal]:
    """The account at `HOST`, in this process only, with an integration by the real clock."""
    redirect({HOST: port}, monkeypatch)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca_file))
    # Clients compare the end of a token with their own clock, which is not the account's.
    portal.oauth = AmoOAuth(*KEYS.values(), REDIRECT, now=time.time)
    yield portal
    portal.oauth, portal.full_links = None, True


def moment(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def stored(store: AmoStore, name: str) -> list[Any]:
    return sorted(row[0] for row in store.query(STORED[name]))


def issued_yesterday(oauth: AmoOAuth) -> dict[str, Any]:
    """Tokens the first of which has expired; the refresh token is good."""
    oauth.now = lambda: time.time() - DAY - 60
    tokens = oauth.issue()
    oauth.now = time.time
    return tokens


# aioamocrm: follows the links between pages, or asks for the next number


class ToLoopback(httpx.AsyncHTTPTransport):
    """Sends requests to loopback that are meant for a host: anyio's ports can't be redirected."""

    def __init__(self, port: int | None, tls: TlsFiles) -> None:
        super().__init__(verify=ssl.create_default_context(cafile=str(tls.ca_file)))
        self.port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host="127.0.0.1", port=self.port)
        return await super().handle_async_request(request)


@pytest.fixture
def aioamocrm(account: AmoPortal, port: int | None, tls: TlsFiles) -> Callable[..., Any]:
    """What a coroutine finds with a client."""

    def run(read: Callable[[AmoCRMClient], Any], **options: Any) -> Any:
        async def reading() -> Any:
            given = {"auth": LongLivedToken("demo"), "subdomain": "example", "rate_limit": None}
            async with (
                httpx.AsyncClient(transport=ToLoopback(port, tls)) as http,
                AmoCRMClient(**{**given, "http": http, **options}) as amo,
            ):
                return await read(amo)

        return asyncio.run(reading())

    return run


async def ids(rows: Any) -> list[Any]:
    """Ids of what is iterated over, asynchronously or not."""
    if hasattr(rows, "__aiter__"):
        return sorted([row.id async for row in rows])
    return sorted(row.id for row in rows)


async def events(amo: AmoCRMClient) -> list[Any]:
    """It knows no events: the pages by its own requests, along the links."""
    found, path = [], "events?limit=100"
    while path:
        body = await amo.request("GET", path)
        found += [event["id"] for event in body["_embedded"]["events"]]
        path = body["_links"].get("next", {}).get("href", "")
    return sorted(found)


async def listed(amo: AmoCRMClient, name: str) -> list[Any]:
    match name:
        case "events":
            return await events(amo)
        case "pipelines":
            return await ids(await amo.pipelines.list())
        case "statuses":
            return await ids(await amo.pipelines.statuses(SALES))
        case "lead notes" | "contact notes":
            cards = amo.leads if name == "lead notes" else amo.contacts
            return await ids(cards.notes.iterate())
        case "custom fields":
            return await ids(amo.leads.custom_fields.iterate(limit=50))
        case _:
            return await ids(getattr(amo, name).iterate())


@pytest.mark.parametrize("name", [name for name in STORED if name != "lead tags"])
def test_aioamocrm_reads_everything(
    aioamocrm: Callable[..., Any], account: AmoPortal, store: AmoStore, name: str
) -> None:
    assert aioamocrm(lambda amo: listed(amo, name)) == stored(store, name)


def test_aioamocrm_adds_what_links_between_pages_leave_out(
    aioamocrm: Callable[..., Any], account: AmoPortal, store: AmoStore
) -> None:
    account.full_links = False

    async def leads(amo: AmoCRMClient) -> dict[int, int]:
        chosen = {"pipeline_id": SALES}
        found = amo.leads.iterate(filter=chosen, with_=["contacts"])
        return {lead.id: len(lead.embedded.contacts) async for lead in found}

    rows = store.query(
        "select id, json_array_length(contacts) from lead "
        f"where pipeline_id = {SALES} and is_deleted = 0"
    )
    assert aioamocrm(leads) == {row[0]: row[1] for row in rows}


def test_aioamocrm_reads_single_records(aioamocrm: Callable[..., Any], account: AmoPortal) -> None:
    async def read(amo: AmoCRMClient) -> None:
        assert (await amo.account.get()).id == 31
        lead = await amo.leads.get(LIVED_IN, with_=["contacts"])
        assert (lead.price, lead.field_value(9)) == (100, "Pump 1")
        assert (await amo.contacts.get(lead.embedded.contacts[0].id)).name == "Client 2"
        note = await amo.leads.notes.get(2, entity_id=LIVED_IN)
        assert note.params == {"text": "A comment"}
        assert (await amo.tasks.get(1)).result is None

    aioamocrm(read)


def test_aioamocrm_refreshes_an_expired_token_once(
    aioamocrm: Callable[..., Any], account: AmoPortal, store: AmoStore, tmp_path: Path
) -> None:
    assert account.oauth is not None
    tokens = account.oauth.issue()
    account.oauth.expire_access_tokens()
    kept = JsonFileTokenStorage(tmp_path / "tokens.json")
    given = TokenSet.from_response(tokens, now=time.time())
    auth = OAuth2(*KEYS.values(), REDIRECT, kept)

    async def leads(amo: AmoCRMClient) -> list[Any]:
        await kept.save(given)
        # All four meet the refused token; it is good for one refresh.
        pages = await asyncio.gather(*(amo.leads.get_page(page) for page in range(1, 5)))
        return sorted(lead.id for page in pages for lead in page)

    assert aioamocrm(leads, auth=auth) == stored(store, "leads")
    assert account.oauth.refreshes == 1
    assert json.loads(kept.path.read_text())["refresh_token"] != tokens["refresh_token"]


def test_aioamocrm_finds_an_account_that_has_moved(
    aioamocrm: Callable[..., Any], account: AmoPortal, store: AmoStore
) -> None:
    assert account.oauth is not None
    account.oauth.api_domain = API_HOST
    code, auth = account.oauth.code(), OAuth2(*KEYS.values(), REDIRECT)

    async def moved(amo: AmoCRMClient) -> str:
        await amo.exchange_code(code)
        account.oauth.expire_access_tokens()
        account.oauth.moved_to = MOVED_HOST
        with pytest.raises(AccountMovedError) as told:
            await amo.account.get()
        account.oauth.moved_to = ""
        return str(told.value.domain)

    assert aioamocrm(moved, auth=auth) == MOVED_HOST
    there = aioamocrm(lambda amo: listed(amo, "leads"), auth=auth, subdomain="new")
    assert there == stored(store, "leads")
    assert account.oauth.refreshes == 1


# amochka: counts pages up while there is a next one, or up to `_page_count`


def amochka(tokens: Path, **told: Any) -> AmochkaClient:
    tokens.write_text(json.dumps({"access_token": "demo", "expires_at": time.time() + DAY, **told}))
    return AmochkaClient(
        f"https://{HOST}",
        str(tokens),
        CacheConfig.disabled(),
        disable_logging=True,
        rate_limit=1_000,
    )


AMOCHKA: dict[str, Callable[[AmochkaClient], Iterable[dict[str, Any]]]] = {
    "leads": lambda client: client.iter_leads(include="loss_reason", include_contacts=True),
    "contacts": lambda client: client.iter_contacts(),
    "tasks": lambda client: client.iter_tasks(order_created="asc"),
    "lead notes": lambda client: client.iter_notes("lead"),
    "contact notes": lambda client: client.iter_notes("contact", note_type=["common", "call_in"]),
    "events": lambda client: client.iter_events(),
    "users": lambda client: client.iter_users(),
    "pipelines": lambda client: client.iter_pipelines(),
    "custom fields": lambda client: client.get_custom_fields_mapping().values(),
}
"""It has no lists of companies and tags."""


@pytest.mark.parametrize("name", AMOCHKA)
def test_amochka_reads_everything(
    account: AmoPortal, store: AmoStore, tmp_path: Path, name: str
) -> None:
    rows = AMOCHKA[name](amochka(tmp_path / "tokens.json"))
    assert sorted(row["id"] for row in rows) == stored(store, name)


def test_amochka_reads_what_it_asks_for(
    account: AmoPortal, store: AmoStore, tmp_path: Path
) -> None:
    client = amochka(tmp_path / "tokens.json")
    leads = client.fetch_leads(updated_from=moment(100), updated_to=moment(400), pipeline_ids=[OLD])
    assert [lead["id"] for lead in leads] == [3 * n for n in range(100, 401) if n % 5 == 0]
    moved = client.fetch_events(
        entity="lead",
        entity_ids=[3, 6, 9],
        event_type=["lead_status_changed", "entity_responsible_changed"],
    )
    assert sorted((event["entity_id"], event["type"]) for event in moved) == [
        (lead_id, event_type)
        for lead_id in (3, 6, 9)
        for event_type in ("entity_responsible_changed", "lead_status_changed")
    ]
    deal = client.get_deal_by_id(LIVED_IN)
    assert (deal.get("Product"), deal["id"]) == ("Pump 1", LIVED_IN)
    assert len(client.get_deal_notes(LIVED_IN, get_all=True)) == 270


def test_amochka_refreshes_an_expired_token_once(
    account: AmoPortal, store: AmoStore, tmp_path: Path
) -> None:
    assert account.oauth is not None
    tokens = account.oauth.issue()
    account.oauth.expire_access_tokens()
    told = {"redirect_uri": REDIRECT, **KEYS, **tokens, "created_at": time.time()}
    client = amochka(tmp_path / "tokens.json", **told)
    assert sorted(lead["id"] for lead in client.iter_leads()) == stored(store, "leads")
    assert account.oauth.refreshes == 1
    kept = json.loads((tmp_path / "tokens.json").read_text())
    assert kept["refresh_token"] != tokens["refresh_token"]


# amocrm-api: reads the end of its token out of the token itself. The account it can't read: its
# get_account_info calls a method that its interaction does not have.


@pytest.fixture
def tokens(account: AmoPortal) -> None:
    """Its models share one manager of tokens, whose first storage stays."""
    assert account.oauth is not None
    default_token_manager(
        **KEYS, subdomain="example", redirect_url=REDIRECT, storage=MemoryTokensStorage()
    )
    default_token_manager.init(code=account.oauth.code())


AMOCRM_API: dict[str, Callable[[], Iterable[Any]]] = {
    "leads": Lead.objects.all,
    "contacts": Contact.objects.all,
    "companies": Company.objects.all,
    "tasks": Task.objects.all,
    "lead notes": lambda: list(Lead.objects.get(LIVED_IN).notes.objects.all()),
    "contact notes": lambda: list(Contact.objects.get(2).notes.objects.all()),
    "events": Event.objects.all,
    "users": User.objects.all,
    "pipelines": Pipeline.objects.all,
    "statuses": lambda: Status.get_for(SALES).all(),
    "custom fields": lambda: CustomFieldModel.get_for(Lead.objects.get(LIVED_IN)),
    "lead tags": Tag.leads.all,
}


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize("name", AMOCRM_API)
def test_amocrm_api_reads_everything(store: AmoStore, name: str) -> None:
    assert sorted(row.id for row in AMOCRM_API[name]()) == stored(store, name)


@pytest.mark.usefixtures("tokens")
def test_amocrm_api_reads_what_it_asks_for() -> None:
    changed = DateRangeFilter("updated_at")(moment(100), moment(400))
    leads = Lead.objects.filter(filters=[changed, SingleListFilter("pipeline_id")(OLD)])
    assert [lead.id for lead in leads] == [3 * n for n in range(100, 401) if n % 5 == 0]
    newest = Lead.objects.filter(order={"id": "desc"})
    assert next(newest).id == 1_860
    moves = Event.objects.filter(filters=[SingleListFilter("type")("lead_status_changed")])
    assert {(move.value_before["id"], move.value_after["id"]) for move in moves} == {(NEW, TALKS)}


@pytest.mark.usefixtures("tokens")
def test_amocrm_api_follows_links_between_records() -> None:
    lead = Lead.objects.get(LIVED_IN)
    assert lead.created_at == NOON.replace(tzinfo=None)
    assert (lead.status.name, lead.pipeline.name) == ("New", "Sales")
    assert lead.responsible_user.name == "User 1"
    (contact,) = lead.contacts
    assert (contact.name, contact.company.name) == ("Client 2", "Client 5")
    assert [card.id for card in contact.leads] == [LIVED_IN]
    assert sorted(task.id for task in lead.tasks) == list(range(20, 302, 20))


def test_amocrm_api_refreshes_an_expired_token_once(account: AmoPortal, store: AmoStore) -> None:
    assert account.oauth is not None
    tokens, storage = issued_yesterday(account.oauth), MemoryTokensStorage()
    storage.save_tokens(tokens["access_token"], tokens["refresh_token"])
    manager = TokenManager()
    manager(**KEYS, subdomain="example", redirect_url=REDIRECT, storage=storage)
    rows = LeadsInteraction(token_manager=manager).get_all()
    assert sorted(row["id"] for row in rows) == stored(store, "leads")
    assert account.oauth.refreshes == 1
    assert storage.get_refresh_token() != tokens["refresh_token"]
