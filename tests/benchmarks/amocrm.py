"""The benchmark of amoCRM: leads in pages of 250, 7 requests within any second.

The stand-in answers at once, which suits clients that ask for one page after the other: a real
account takes its time for a page, and they wait for it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sources.amocrm import AmoClient, AmoConnector, LongLivedToken
from sources.demo.amocrm import views
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.amocrm.store import LEAD, LOST_ID, WON_ID, AmoStore
from sources.demo.certificates import TlsFiles
from sources.demo.limiter import SlidingWindow
from sources.demo.record_store import to_microseconds
from sources.demo.server import serve_in_thread
from tests.benchmarks.measuring import OUR_LOAD, OURS, Read, Served, System, extraction, whole_load
from tests.support.amo_accounts import NEW, SALES, TALKS, make_account
from tests.support.hosts import resolver
from tests.support.portals import NOON

PAGE = 250
REQUESTS_PER_SECOND = 7
HOST = "bench.amocrm.ru"
MINUTE = 60_000_000


def _jwt(**claims: Any) -> str:
    parts = ({"typ": "JWT", "alg": "RS256"}, claims, {})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


TOKEN = _jwt(exp=4_102_444_800)
"""A long-lived token; amocrm-api reads its end, in the year 2100."""


def write_leads(path: Path, rows: int) -> Path:
    """A store with this many leads and nothing else; the gaps between their ids grow."""
    names = list(LEAD.columns)
    start = to_microseconds(NOON) - rows * MINUTE
    statuses = (NEW, TALKS, WON_ID, LOST_ID)

    def lead(number: int) -> tuple[Any, ...]:
        at = start + number * MINUTE
        status_id = statuses[number % 4]
        row = {
            # All accounts share the vendor's ids, and it has more of them every year.
            "id": 10_000_000 + 25 * number + int(number**1.4),
            "name": f"Поставка оборудования № {number}",
            "price": number % 900_000,
            "responsible_user_id": number % 80 + 1,
            "group_id": 0,
            "created_by": 1,
            "updated_by": number % 80 + 1,
            "created_at": at,
            "updated_at": at + 60 * MINUTE,
            "status_id": status_id,
            "pipeline_id": SALES,
            "loss_reason_id": 1 + number % 5 if status_id == LOST_ID else None,
            "closed_at": at + 60 * MINUTE if status_id in (WON_ID, LOST_ID) else None,
            "is_deleted": 0,
            "custom_fields_values": _fields(number),
            "labor_cost": None,
            "tags": '[{"id": 7, "name": "сайт"}]' if number % 3 == 0 else "[]",
            "contacts": f'[{{"id": {number % 150_000 + 1}, "is_main": true}}]',
            "company_id": number % 30_000 if number % 2 else None,
        }
        return tuple(map(row.get, names))

    with make_account(path) as store:
        store.insert_tuples("lead", map(lead, range(1, rows + 1)))
        store.insert(
            "loss_reason", ({"id": number, "name": f"Reason {number}"} for number in range(1, 6))
        )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create index listed on lead (coalesce(is_deleted, 0))")
    return path


class _IndexedStore(AmoStore):
    """Finds the millionth lead through an index; SQLite would read all before it, 0.4 s a page."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        whole = 'from "lead" where coalesce('
        return super().query(
            sql.replace(whole, whole.replace("where", "indexed by listed where")), parameters
        )


def _fields(number: int) -> str:
    return json.dumps(
        [
            {
                "field_id": field_id,
                "field_name": name,
                "field_code": code,
                "field_type": kind,
                "values": [{"value": value, **more}],
            }
            for field_id, name, code, kind, value, more in (
                (501, "Товар", None, "select", "Насос", {"enum_id": 9, "enum_code": None}),
                (502, "utm_source", "UTM_SOURCE", "tracking_data", "yandex", {}),
                (
                    *(503, "utm_campaign", "UTM_CAMPAIGN", "tracking_data"),
                    *(f"campaign-{number % 200}", {}),
                ),
            )
        ],
        ensure_ascii=False,
    )


def _export(store: Path, file: Path) -> None:
    from sources.amocrm.lists import LEADS

    with AmoStore(store, read_only=True) as opened, file.open("w", encoding="utf-8") as written:
        request = views.Request(opened, f"https://{HOST}", "leads", LEADS.parameters, {})
        last = 0
        while rows := opened.query(
            "select * from lead where id > ? order by id limit 10000", (last,)
        ):
            written.writelines(
                json.dumps(lead, ensure_ascii=False) + "\n" for lead in views.leads(request, rows)
            )
            last = rows[-1]["id"]


@contextlib.contextmanager
def _serve(
    store: Path, limited: bool, tls: TlsFiles | None
) -> Iterator[tuple[str, Callable[[], Served]]]:
    bucket = _CountingWindow(REQUESTS_PER_SECOND) if limited else None
    with _IndexedStore(store, read_only=True) as opened:
        portal = AmoPortal(opened, token=TOKEN, bucket=bucket)

        def served() -> Served:
            return Served(bucket.refused if bucket else 0, portal.requests)

        with serve_in_thread(portal, tls=tls) as address:
            yield address, served


@dataclass
class _CountingWindow(SlidingWindow):
    refused: int = 0

    def admits(self) -> bool:
        admitted = super().admits()
        self.refused += not admitted
        return admitted


def _extract(address: str, folder: Path) -> Read:
    client = AmoClient(LongLivedToken(address, TOKEN))
    return extraction(AmoConnector(client, "main"), "leads", folder)


def _load(address: str, folder: Path) -> Read:
    client = AmoClient(LongLivedToken(address, TOKEN), requests_per_second=0)
    return whole_load(AmoConnector(client, "main"), "leads", folder)


def _aioamocrm(address: str, folder: Path) -> Read:
    import asyncio

    from aioamocrm import AmoCRMClient
    from aioamocrm import LongLivedToken as Token

    async def ids() -> set[int | None]:
        async with AmoCRMClient(base_url=address, auth=Token(TOKEN)) as amo:
            return {lead.id async for lead in amo.leads.iterate(with_=["contacts"])}

    return lambda: len(asyncio.run(ids()))


def _amochka(address: str, folder: Path) -> Read:
    from amochka import AmoCRMClient, CacheConfig

    _lead_to(address)
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps({"access_token": TOKEN, "expires_at": time.time() + 86_400}))
    client = AmoCRMClient(
        f"https://{HOST}", str(tokens), CacheConfig.disabled(), disable_logging=True
    )
    return _ids(lambda: (lead["id"] for lead in client.iter_leads(include_contacts=True)))


def _amocrm_api(address: str, folder: Path) -> Read:
    """It knows nothing of the limit."""
    from amocrm.v2 import Lead
    from amocrm.v2.tokens import MemoryTokensStorage, default_token_manager

    _lead_to(address)
    storage = MemoryTokensStorage()
    storage.save_tokens(TOKEN, "")
    default_token_manager("", "", HOST.partition(".")[0], "", storage)
    return _ids(lambda: (lead.id for lead in Lead.objects.all()))


def _lead_to(address: str) -> None:
    socket.getaddrinfo = resolver({HOST: urlsplit(address).port})


def _ids(read: Callable[[], Iterable[int]]) -> Read:
    return lambda: len(set(read()))


def _pages(rows: int) -> int:
    return math.ceil(rows / PAGE)


SYSTEM = System(
    name="amocrm",
    entity="leads",
    refusal=429,
    floor_seconds=lambda rows: _pages(rows) / REQUESTS_PER_SECOND,
    work="requests",
    least_work=_pages,
    extraction_bound=1.15,
    work_bound=None,
    write=write_leads,
    export=_export,
    serve=_serve,
    readers={
        OURS: _extract,
        OUR_LOAD: _load,
        "aioamocrm": _aioamocrm,
        "amochka": _amochka,
        "amocrm-api": _amocrm_api,
    },
    secure=frozenset({"amochka", "amocrm-api"}),
    host=HOST,
)
