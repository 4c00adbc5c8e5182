"""The demo companies: the invented company and replays of csv folders, in either CRM."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sources.demo
from orchestration.lock import warehouse_lock
from orchestration.settings import Settings
from sources.company.rules import CrmSystem
from sources.demo.amocrm.store import AmoStore
from sources.demo.faults import FaultPlan
from sources.demo.replay import FILES, write_replay
from sources.demo.server import serve_account_in_process, serve_in_process
from sources.demo.store import PortalStore


@dataclass(frozen=True)
class DemoCompany:
    """A company whose CRM is a stand-in on this machine.

    Attributes:
        name: its folder of `companies/`.
        system: the CRM that it is served as.
        is_replay: whether its records come from a folder of csv files.
    """

    name: str
    system: CrmSystem
    is_replay: bool


DEMO_COMPANIES: Mapping[str, DemoCompany] = {
    company.name: company
    for company in (
        DemoCompany("demo", "bitrix24", is_replay=False),
        DemoCompany("replay", "bitrix24", is_replay=True),
        DemoCompany("demo_amocrm", "amocrm", is_replay=False),
        DemoCompany("replay_amocrm", "amocrm", is_replay=True),
    )
}
_STORES: Mapping[CrmSystem, str] = {"bitrix24": "portal.sqlite", "amocrm": "account.sqlite"}


def demo_company(*, is_replay: bool, system: CrmSystem) -> DemoCompany:
    """The company of a demo."""
    return next(
        company
        for company in DEMO_COMPANIES.values()
        if (company.is_replay, company.system) == (is_replay, system)
    )


def is_prepared(settings: Settings) -> bool:
    """Whether the company is a demo's and has a store that can be served."""
    company = DEMO_COMPANIES.get(settings.company)
    return company is not None and (settings.data_dir / _STORES[company.system]).exists()


@contextlib.contextmanager
def demo_portal(
    settings: Settings,
    *,
    replay: Path | None,
    seed: int,
    limited: bool,
    say: Callable[[str], None],
    faults: Path | None = None,
) -> Iterator[str]:
    """Start the CRM of a demo company; its secrets go into the environment.

    A replay of another folder, or another seed, is another company: what the earlier one left in
    `data/<company>` is removed first, and said.

    Raises:
        InputError: the replayed folder can't be used.
        WarehouseLocked: a run of that company is going on.
    """
    data_set = _fingerprint(replay) if replay else f"invented company, small, seed {seed}"
    with warehouse_lock(
        settings.lock_file, "preparation of the demo", settings.lock_timeout_seconds
    ):
        _prepare(settings, replay, seed, data_set, say)
    with serving(settings, limited=limited, faults=faults) as address:
        yield address


@contextlib.contextmanager
def serving(
    settings: Settings, *, limited: bool = False, faults: Path | None = None
) -> Iterator[str]:
    """Serve what an earlier start has prepared; its secrets are in the environment.

    Raises:
        InputError: the fault plan can't be used.
    """
    system = DEMO_COMPANIES[settings.company].system
    store = settings.data_dir / _STORES[system]
    section = f"SOURCES__{system.upper()}__{settings.company.upper()}__MAIN"
    if faults is not None:
        # Before the server is started: a plan that can't be used is told in its own sentence.
        kind = AmoStore if system == "amocrm" else PortalStore
        FaultPlan.read(faults, entities=kind.entities)
    with contextlib.ExitStack() as stack:
        if system == "amocrm":
            account = stack.enter_context(
                serve_account_in_process(store, limited=limited, faults=faults)
            )
            address = account.address
            secrets = {"ACCOUNT_URL": address, "ACCESS_TOKEN": account.token}
        else:
            address = stack.enter_context(serve_in_process(store, limited=limited, faults=faults))
            secrets = {"WEBHOOK_URL": address}
        variables = {f"{section}__{name}": value for name, value in secrets.items()}
        os.environ.update(variables)
        try:
            yield address
        finally:
            for variable in variables:
                os.environ.pop(variable, None)


def _prepare(
    settings: Settings,
    replay: Path | None,
    seed: int,
    data_set: str,
    say: Callable[[str], None],
) -> None:
    system = DEMO_COMPANIES[settings.company].system
    store = settings.data_dir / _STORES[system]
    note = settings.data_dir / "portal.data_set"
    # A store of an earlier version may lack what the stand-in serves now.
    data_set = f"{data_set}, version {_version()}"
    known = note.read_text(encoding="utf-8") if note.exists() else None
    if known == data_set and store.exists():
        return
    written = settings.data_dir / "portal.part"
    written.unlink(missing_ok=True)
    settings.make_folders()
    if replay:
        # Before anything is removed: a folder that can't be replayed must cost nothing.
        say(write_replay(replay, written).sentence())
    else:
        from sources.demo.generator import write_store

        say(f"generating the {data_set.partition(', version')[0]}")
        write_store(written, size="small", seed=seed)
    if system == "amocrm":
        written = _converted(written, say)
    if known is not None:
        say(f"another data set than before: removing what it left in data/{settings.company}")
        for path in settings.data_dir.iterdir():
            if path.name not in (written.name, settings.lock_file.name):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        settings.make_folders()
    written.replace(store)
    note.write_text(data_set, encoding="utf-8")


def _converted(portal: Path, say: Callable[[str], None]) -> Path:
    """The same company as an amoCRM account; the portal's store is removed."""
    from sources.demo.amocrm.conversion import write_amo_store

    say("converting it to an amoCRM account")
    account = portal.with_name("account.part")
    account.unlink(missing_ok=True)
    with PortalStore(portal, read_only=True) as source:
        write_amo_store(source, account)
    portal.unlink()
    return account


def _version() -> str:
    """Of the code that writes stores."""
    digest = hashlib.sha256()
    for path in sorted(Path(sources.demo.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for form in FILES:
        path = folder / form.name
        if path.is_file():
            digest.update(form.name.encode())
            digest.update(path.read_bytes())
    return f"replay of {folder.resolve().name}, {digest.hexdigest()[:16]}"
