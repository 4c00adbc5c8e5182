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

EXCHANGE = "pbx.sqlite"
"""The call records of the telephone exchange; replayed companies have none."""


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
_BESIDE = ("-wal", "-shm")
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
    return company is not None and all(path.exists() for path in _files(settings, company))


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
    """Start the CRM of a demo company; its and the exchange's secrets go into the environment.

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
    company = DEMO_COMPANIES[settings.company]
    system = company.system
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
        if not company.is_replay:
            # Relative to the company's data folder: its path may hold what a URL can't.
            exchange = f"SOURCES__ASTERISK__{settings.company.upper()}__OFFICE__DATABASE_URL"
            variables[exchange] = f"sqlite:///{EXCHANGE}"
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
    company = DEMO_COMPANIES[settings.company]
    note = settings.data_dir / "portal.data_set"
    # A store of an earlier version may lack what the stand-in serves now.
    data_set = f"{data_set}, version {_version()}"
    known = note.read_text(encoding="utf-8") if note.exists() else None
    files = _files(settings, company)
    if known == data_set and all(path.exists() for path in files):
        return
    written, exchange = settings.data_dir / "portal.part", settings.data_dir / "pbx.part"
    for path in (written, exchange):
        _remove(path)
    settings.make_folders()
    if replay:
        # Before anything is removed: a folder that can't be replayed must cost nothing.
        say(write_replay(replay, written).sentence())
    else:
        from sources.demo.generator import write_store
        from sources.demo.telephony.office import write_office

        say(f"generating the {data_set.partition(', version')[0]}")
        write_store(written, size="small", seed=seed)
        with PortalStore(written, read_only=True) as portal:
            write_office(portal, exchange)
        _remove(written, *_BESIDE)
    if company.system == "amocrm":
        written = _converted(written, say)
    parts = (written,) if replay else (written, exchange)
    if known is not None:
        say(f"another data set than before: removing what it left in data/{settings.company}")
        for path in settings.data_dir.iterdir():
            if path not in (*parts, settings.lock_file):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        settings.make_folders()
    for part, path in zip(parts, files, strict=True):
        part.replace(path)
    note.write_text(data_set, encoding="utf-8")


def _files(settings: Settings, company: DemoCompany) -> tuple[Path, ...]:
    """What a demo company's systems keep: the CRM's store, and the exchange's records."""
    names = (_STORES[company.system], *(() if company.is_replay else (EXCHANGE,)))
    return tuple(settings.data_dir / name for name in names)


def _converted(portal: Path, say: Callable[[str], None]) -> Path:
    """The same company as an amoCRM account; the portal's store is removed."""
    from sources.demo.amocrm.conversion import write_amo_store

    say("converting it to an amoCRM account")
    account = portal.with_name("account.part")
    _remove(account)
    with PortalStore(portal, read_only=True) as source:
        write_amo_store(source, account)
    _remove(portal)
    return account


def _remove(path: Path, *endings: str) -> None:
    """Remove a SQLite file and what readers of it have left beside it, or the latter alone."""
    for ending in endings or ("", *_BESIDE):
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)


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
