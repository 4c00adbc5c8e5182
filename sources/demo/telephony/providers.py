"""The stand-ins by provider, and serving one by hand."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from sources.demo.faults import FaultPlan
from sources.demo.limiter import SlidingWindow
from sources.demo.telephony.binotel import BinotelStandIn
from sources.demo.telephony.calls import invented_calls
from sources.demo.telephony.mango import MangoStandIn
from sources.demo.telephony.megafon import MegafonStandIn
from sources.demo.telephony.ringostat import RingostatStandIn
from sources.demo.telephony.stand_in import PbxStandIn
from sources.demo.telephony.uis import UisStandIn
from sources.demo.telephony.zadarma import ZadarmaStandIn
from sources.errors import InputError

STAND_INS: Mapping[str, type[PbxStandIn]] = {
    "binotel": BinotelStandIn,
    "mango": MangoStandIn,
    "megafon": MegafonStandIn,
    "ringostat": RingostatStandIn,
    "uis": UisStandIn,
    "zadarma": ZadarmaStandIn,
}


def serve_telephony(
    provider: str,
    *,
    port: int = 0,
    days: int = 30,
    calls_per_day: int = 100,
    seed: int = 1,
    zone: str = "Europe/Moscow",
    requests_per_minute: int | None = None,
    faults: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve invented calls of the last days as a provider would, until the process is stopped.

    Args:
        provider: a key of `STAND_INS`.
        port: on loopback; 0 picks a free one.
        days: how many of them, the last one today.
        calls_per_day: of each.
        seed: of chance.
        zone: of the account, in which times without an offset are printed.
        requests_per_minute: more are refused; None: none is.
        faults: a fault plan's file.
        say: gets the address and the secrets, as `.dlt/secrets.toml` names them.

    Raises:
        InputError: there is no such provider or zone, or the fault plan can't be used.
    """
    if provider not in STAND_INS:
        raise InputError(f"There is no stand-in of {provider!r}: one of {', '.join(STAND_INS)}.")
    try:
        account_zone = ZoneInfo(zone)
    except (KeyError, ValueError):
        raise InputError(f"{zone!r} is not an IANA time zone such as Europe/Moscow.") from None
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    stand_in = STAND_INS[provider](
        invented_calls(now - dt.timedelta(days=days), days, calls_per_day, seed=seed),
        now,
        zone=account_zone,
        fault_plan=FaultPlan.read(faults) if faults else None,
        bucket=SlidingWindow(requests_per_minute, 60) if requests_per_minute else None,
    )
    with stand_in.served(port) as address:
        secrets = {**stand_in.keys, "base_url": address}
        say("\n".join(f'{name} = "{value}"' for name, value in secrets.items()))
        while True:
            time.sleep(3600)
