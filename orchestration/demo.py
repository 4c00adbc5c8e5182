"""The demo companies' portals: the invented company, and replays of csv folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestration.lock import warehouse_lock
from orchestration.settings import Settings
from sources.demo.faults import FaultPlan
from sources.demo.replay import FILES, write_replay
from sources.demo.server import serve_in_process

REPLAY_COMPANY = "replay"
DEMO_COMPANY = "demo"


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
    """Start the portal of the demo (or replay) company; its webhook goes into the environment.

    A replay of another folder, or another seed, is another company: what the earlier one left in
    `data/<company>` is removed first, and said.

    Raises:
        InputError: the replayed folder can't be used.
        WarehouseLocked: a run of that company is going on.
    """
    store = settings.data_dir / "portal.sqlite"
    data_set = _fingerprint(replay) if replay else f"invented company, small, seed {seed}"
    with warehouse_lock(
        settings.lock_file, "preparation of the demo", settings.lock_timeout_seconds
    ):
        _prepare(settings, store, replay, seed, data_set, say)
    with serving(settings, limited=limited, faults=faults) as address:
        yield address


@contextlib.contextmanager
def serving(settings: Settings, *, limited: bool, faults: Path | None) -> Iterator[str]:
    """Serve the portal that an earlier start has prepared; its webhook is in the environment.

    Raises:
        InputError: the fault plan can't be used.
    """
    if faults is not None:
        # Before the portal is started: a plan that can't be used is told in its own sentence.
        FaultPlan.read(faults)
    store = settings.data_dir / "portal.sqlite"
    with serve_in_process(store, limited=limited, faults=faults) as address:
        variable = f"SOURCES__BITRIX24__{settings.company.upper()}__MAIN__WEBHOOK_URL"
        os.environ[variable] = address
        try:
            yield address
        finally:
            os.environ.pop(variable, None)


def _prepare(
    settings: Settings,
    store: Path,
    replay: Path | None,
    seed: int,
    data_set: str,
    say: Callable[[str], None],
) -> None:
    note = settings.data_dir / "portal.data_set"
    known = note.read_text(encoding="utf-8") if note.exists() else None
    if known == data_set and store.exists():
        return
    written = store.with_suffix(".part")
    written.unlink(missing_ok=True)
    settings.make_folders()
    if replay:
        # Before anything is removed: a folder that can't be replayed must cost nothing.
        say(write_replay(replay, written).sentence())
    else:
        from sources.demo.generator import write_store

        say(f"generating the {data_set}")
        write_store(written, size="small", seed=seed)
    if known is not None:
        say(f"another data set than before: removing what it left in data/{settings.company}")
        for path in settings.data_dir.iterdir():
            if path.name not in (written.name, settings.lock_file.name):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        settings.make_folders()
    written.replace(store)
    note.write_text(data_set, encoding="utf-8")


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for form in FILES:
        path = folder / form.name
        if path.is_file():
            digest.update(form.name.encode())
            digest.update(path.read_bytes())
    return f"replay of {folder.resolve().name}, {digest.hexdigest()[:16]}"
