"""Random companies in one warehouse: portals of Bitrix24 alone, and companies with telephony."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import duckdb

from orchestration.settings import Settings
from sources.demo.amocrm.store import AmoStore
from sources.demo.store import PortalStore
from tests.reference.handovers import Account
from tests.reference.merging import Company
from tests.reference.random_account import random_account
from tests.reference.random_mixture import random_company
from tests.reference.random_past import random_past
from tests.reference.random_portal import RANDOM_RULES, random_portal, write_portals
from tests.reference.records import Past, Portal, read_store
from tests.support import mixtures
from tests.support.companies import load_company_rules, make_company
from tests.support.pasts import past_files, write_pasts
from tests.support.random_accounts import write_account
from tests.support.raw import write_raw
from tests.support.raw_amocrm import write_raw_amocrm
from tests.support.raw_telephony import write_raw_telephony

_PORTALS_PER_ACCOUNT = 3


@dataclass(frozen=True)
class RandomCompanies:
    """Random companies in one warehouse.

    Attributes:
        portals: what raw holds of each portal of Bitrix24 without telephony, and its past, by
            connection.
        companies: those with telephony.
        accounts: of amoCRM without telephony, by source key.
    """

    settings: Settings
    portals: dict[str, tuple[Portal, Past]]
    companies: list[Company]
    accounts: dict[str, Account]


def load_random_companies(
    root: Path,
    portal_count: int,
    mixture_count: int,
    seed: int,
    others: Mapping[str, PortalStore] = MappingProxyType({}),
) -> RandomCompanies:
    """So many random portals, and so many companies with telephony, in one warehouse, not built.

    Args:
        root: where everything is written.
        portal_count: portals of Bitrix24 without telephony.
        mixture_count: companies with telephony.
        seed: of the first of each.
        others: further portals beside them, by source key.
    """
    made = [_portal_with_past(random.Random(seed + number)) for number in range(portal_count)]
    companies = [
        random_company(random.Random(seed + number), f"m{number:04d}")
        for number in range(mixture_count)
    ]
    accounts = {
        f"amocrm:a{number:04d}": random_account(random.Random(seed + number))
        for number in range(portal_count // _PORTALS_PER_ACCOUNT)
    }
    folder = root / "portals"
    folder.mkdir()
    paths = write_portals([portal for portal, _ in made], folder)
    found = {f"bitrix24:{name}": read_store(path) for name, path in paths.items()}
    pasts = {key: past for key, (_, past) in zip(found, made, strict=True)}
    lines = [
        f"{name},{pipeline},{role}"
        for name in paths
        for pipeline, role in RANDOM_RULES.pipeline_roles.items()
    ]
    stores: dict[str, mixtures.Store] = {
        f"bitrix24:{name}": PortalStore(path, read_only=True) for name, path in paths.items()
    }
    stores |= mixtures.write_stores(companies, folder)
    stores |= {
        key: write_account(account, folder / f"{key.replace(':', '-')}.sqlite")
        for key, account in accounts.items()
    }
    stores |= others
    telephony = mixtures.loaded_telephony(companies)
    settings = make_company(
        root,
        connections=[*stores, *telephony],
        zone=RANDOM_RULES.time_zone,
        files={
            "pipelines.csv": "\n".join(["connection,pipeline_id,role", *lines]) + "\n",
            **past_files(pasts),
            **mixtures.company_files(companies, RANDOM_RULES.time_zone),
        },
        options=mixtures.company_options(companies),
    )
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as connection:
        of_bitrix24 = {key: s for key, s in stores.items() if isinstance(s, PortalStore)}
        write_raw(connection, of_bitrix24)
        write_pasts(connection, found, pasts)
        of_amocrm = {key: s for key, s in stores.items() if isinstance(s, AmoStore)}
        write_raw_amocrm(connection, of_amocrm)
        write_raw_telephony(connection, telephony)
        mixtures.write_earlier_phones(connection, companies)
    for store in stores.values():
        store.close()
    load_company_rules(settings)
    return RandomCompanies(
        settings, {key: (portal, pasts[key]) for key, portal in found.items()}, companies, accounts
    )


def _portal_with_past(rng: random.Random) -> tuple[Portal, Past]:
    return random_past(rng, random_portal(rng))
