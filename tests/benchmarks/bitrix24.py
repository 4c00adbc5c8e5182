"""The benchmark of Bitrix24: deals, 2 requests a second, a bucket of 50, 40 ms per command."""

from __future__ import annotations

import contextlib
import json
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.demo.certificates import TlsFiles
from sources.demo.limiter import LeakyBucket
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import DEAL, PortalStore, to_microseconds
from tests.benchmarks.measuring import OUR_LOAD, OURS, Read, Served, System, extraction, whole_load
from tests.support.hosts import resolver
from tests.support.portals import NOON

COMMAND_SECONDS = 0.04
COUNT_SECONDS = 0.04
PAGE, BATCH = 50, 50
BUCKET, LEAK = 50, 2
HOST = "bench.bitrix24.example"


def write_deals(path: Path, rows: int) -> Path:
    """A store with this many deals and nothing else, ids without gaps."""
    with PortalStore(path) as store:
        store.create()
        store.set_meta("clock", to_microseconds(NOON) + 86_400_000_000)
        store.set_meta("utc_offset", 180)
        names = list(DEAL.columns)
        start = to_microseconds(NOON) - rows * 60_000_000

        def deal(number: int) -> tuple[Any, ...]:
            at = start + number * 60_000_000
            row = {
                "ID": number,
                "TITLE": f"Поставка оборудования № {number}",
                "TYPE_ID": "SALE",
                "CATEGORY_ID": number % 4,
                "STAGE_ID": "NEW",
                "STAGE_SEMANTIC_ID": "P",
                "IS_NEW": 0,
                "IS_RECURRING": 0,
                "IS_RETURN_CUSTOMER": number % 5 == 0,
                "CURRENCY_ID": "RUB",
                "OPPORTUNITY": f"{number % 900_000}.00",
                "IS_MANUAL_OPPORTUNITY": 1,
                "COMPANY_ID": number % 30_000,
                "CONTACT_ID": number % 150_000 + 1,
                "BEGINDATE": at,
                "CLOSEDATE": at + 7 * 86_400_000_000,
                "OPENED": 1,
                "CLOSED": 0,
                "ASSIGNED_BY_ID": number % 80 + 1,
                "CREATED_BY_ID": 1,
                "MODIFY_BY_ID": number % 80 + 1,
                "MOVED_BY_ID": number % 80 + 1,
                "DATE_CREATE": at,
                "DATE_MODIFY": at + 3_600_000_000,
                "MOVED_TIME": at + 3_600_000_000,
                "SOURCE_ID": "WEB",
                "UTM_SOURCE": "yandex",
                "UTM_MEDIUM": "cpc",
                "UTM_CAMPAIGN": f"campaign-{number % 200}",
                "LAST_ACTIVITY_TIME": at + 3_600_000_000,
                "LAST_ACTIVITY_BY": number % 80 + 1,
                "CUSTOM": f'{{"UF_CRM_PRODUCT": "Насос", "UF_CRM_GRADE": "{"ABC"[number % 3]}"}}',
            }
            return tuple(int(v) if isinstance(v, bool) else v for v in map(row.get, names))

        store.insert_tuples("deal", map(deal, range(1, rows + 1)))
        store.insert("user", [{"ID": 1, "ACTIVE": 1, "NAME": "Anna", "USER_TYPE": "employee"}])
        store.insert("category", [{"ID": 0, "NAME": "Sales", "SORT": 10, "IS_DEFAULT": 1}])
        store.finish()
    return path


def _export(store: Path, file: Path) -> None:
    from sources.bitrix24.lists import DEALS
    from sources.bitrix24.reading import Reader, spans

    with PortalStore(store, read_only=True) as opened, serve_in_thread(Portal(opened)) as address:
        (rows,) = opened.query("select count(*) from deal")[0]
        reader = Reader(Bitrix24Client(address, requests_per_second=0))
        with file.open("w", encoding="utf-8") as written:

            def write(found: list[Any], answer: Any) -> Any:
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
                written.write(lines)
                return None

            for _ in reader.read(DEALS, {}, spans(0, rows, rows), write):
                pass
        reader.close()


@contextlib.contextmanager
def _serve(
    store: Path, limited: bool, tls: TlsFiles | None
) -> Iterator[tuple[str, Callable[[], Served]]]:
    bucket = _CountingBucket() if limited else None
    with PortalStore(store, read_only=True) as opened:
        portal = Portal(
            opened,
            code="bench",
            bucket=bucket,
            command_seconds=COMMAND_SECONDS if limited else 0.0,
            count_seconds=COUNT_SECONDS if limited else 0.0,
        )

        def served() -> Served:
            return Served(bucket.refused if bucket else 0, sum(portal.operating.values()))

        with serve_in_thread(portal, tls=tls) as address:
            yield address, served


@dataclass
class _CountingBucket(LeakyBucket):
    refused: int = 0

    def admits(self) -> bool:
        admitted = super().admits()
        self.refused += not admitted
        return admitted


def _extract(address: str, folder: Path) -> Read:
    return extraction(Bitrix24Connector(Bitrix24Client(address), "main"), "deals", folder)


def _load(address: str, folder: Path) -> Read:
    client = Bitrix24Client(address, requests_per_second=0)
    return whole_load(Bitrix24Connector(client, "main"), "deals", folder)


def _fast_bitrix24(address: str, folder: Path) -> Read:
    from fast_bitrix24 import Bitrix

    def read() -> int:
        found = Bitrix(address, verbose=False).get_all("crm.deal.list", {"select": ["*", "UF_*"]})
        return len({row["ID"] for row in found})

    return read


def _b24pysdk(address: str, folder: Path) -> Read:
    """The vendor's own client, in its fast way; it insists on https and a host name."""
    from b24pysdk import BitrixWebhook

    parts = urlsplit(address)
    socket.getaddrinfo = resolver({HOST: None})
    user, code = parts.path.strip("/").split("/")[1:]
    webhook = BitrixWebhook(domain=f"{HOST}:{parts.port}", webhook_token=f"{user}/{code}")

    def read() -> int:
        asked = {"select": ["*", "UF_*"]}
        answer = webhook.call_list_fast(api_method="crm.deal.list", params=asked)
        return len({row["ID"] for row in answer["result"]})

    return read


def _floor_seconds(rows: int) -> float:
    return max(0, math.ceil(rows / PAGE / BATCH) - BUCKET) / LEAK


SYSTEM = System(
    name="bitrix24",
    entity="deals",
    refusal=503,
    floor_seconds=_floor_seconds,
    least_work=lambda rows: math.ceil(rows / PAGE) * COMMAND_SECONDS,
    work="seconds of server work",
    extraction_bound=1.7,
    work_bound=1.1,
    write=write_deals,
    export=_export,
    serve=_serve,
    readers={
        OURS: _extract,
        OUR_LOAD: _load,
        "fast-bitrix24": _fast_bitrix24,
        "b24pysdk": _b24pysdk,
    },
    secure=frozenset({"b24pysdk"}),
    host=HOST,
)
