"""The token file: one writer, nothing half written, nothing readable by others."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR
from sources.errors import SourceError
from sources.tokens import Stored, Tokens, TokenStore, fingerprint, token_file

EXPIRES_AT = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
TOKENS = Tokens("access-1", "refresh-1", EXPIRES_AT, "https://p.example/rest/", "m" * 32, "f")


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(token_file(tmp_path, "bitrix24", "main"))


def _save(store: TokenStore, tokens: Tokens = TOKENS) -> None:
    with store.locked() as held:
        held.save(tokens)


def _child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_file_stands_where_it_should_and_gives_back_what_was_saved(store: TokenStore) -> None:
    assert store.path.parts[-2:] == ("tokens", "bitrix24__main.json")
    assert store.read() == Stored(None, None)
    _save(store)
    assert store.read() == Stored(TOKENS, None)
    assert TokenStore(store.path).read().tokens == TOKENS


def test_only_the_owner_may_read(store: TokenStore) -> None:
    store.path.parent.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        with store.locked() as held:
            held.begin_refresh("refresh-0")
            held.save(TOKENS)
    finally:
        os.umask(before)
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    files = list(store.path.parent.iterdir())
    assert {file.name for file in files} == {"bitrix24__main.json", "bitrix24__main.json.lock"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_repr_shows_no_secret() -> None:
    shown = f"{TOKENS!r} {TOKENS} {Stored(TOKENS)!r}"
    assert "access-1" not in shown
    assert "refresh-1" not in shown
    assert "https://p.example/rest/" in shown


def test_an_expiry_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Tokens("a", "r", dt.datetime(2026, 1, 1), "https://p.example/rest/")


def test_the_mark_of_a_refresh_stays_until_its_end_is_known(store: TokenStore) -> None:
    _save(store)
    with store.locked() as held:
        assert held.begin_refresh("refresh-1") is None
    mark = store.read().mark
    assert mark is not None
    assert mark.grant_fingerprint == fingerprint("refresh-1")
    assert "refresh-1" not in mark.grant_fingerprint
    assert store.read().tokens == TOKENS
    with store.locked() as held:
        # The same token once more: the first moment counts.
        assert held.begin_refresh("refresh-1") == mark
        assert held.stored.mark == mark
        # Another token: nothing is known of it.
        assert held.begin_refresh("refresh-2") is None
        held.end_refresh()
    assert store.read() == Stored(TOKENS, None)


def test_one_thread_at_a_time(store: TokenStore) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with store.locked():
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_lock_held_too_long_is_said(store: TokenStore) -> None:
    impatient = TokenStore(store.path, lock_timeout_seconds=0.1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked():
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        with pytest.raises(SourceError, match="wait until it has ended, or stop it"):
            impatient.locked().__enter__()
    finally:
        done.set()
        thread.join()


def test_an_error_inside_the_block_frees_the_lock_and_is_not_reworded(store: TokenStore) -> None:
    with pytest.raises(FileNotFoundError), store.locked():
        raise FileNotFoundError("mine")
    _save(TokenStore(store.path, lock_timeout_seconds=0.1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"tokens": {"access_token": "access-1", "refre',
        b"[]",
        b'{"tokens": {"access_token": "access-1"}, "mark": null}',
        b'{"tokens": {"access_token": null}, "mark": null}',
        b"\xff\xfe",
        b"\0" * 300,
    ],
)
def test_a_damaged_file_is_said_without_its_content(store: TokenStore, content: bytes) -> None:
    _save(store)
    store.path.write_bytes(content)
    with pytest.raises(SourceError, match="is damaged") as caught:
        store.read()
    assert caught.value.__context__ is None
    assert "access-1" not in str(caught.value)


KILLED = """
import os, signal, sys
from pathlib import Path
from sources.tokens import *
import datetime as dt
store, moment = TokenStore(Path(sys.argv[1])), sys.argv[2]
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
with store.locked() as held:
    setattr(os, moment, killed)
    held.save(Tokens("access-2", "refresh-2", dt.datetime.now(dt.UTC), "https://p.example/rest/"))
"""


def test_tokens_written_but_not_renamed_are_found_again(store: TokenStore) -> None:
    _save(store)
    killed = _child(KILLED, str(store.path), "replace")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads(store.path.read_text())["tokens"]["refresh_token"] == "refresh-1"
    tokens = store.read().tokens
    assert tokens is not None
    assert tokens.refresh_token == "refresh-2"
    assert json.loads(store.path.read_text())["tokens"]["refresh_token"] == "refresh-2"
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_write_cut_off_leaves_the_file_before_it(store: TokenStore) -> None:
    _save(store)
    pending = store.path.with_name(f".{store.path.name}.pending")
    pending.write_bytes(store.path.read_bytes()[:-20])
    assert store.read().tokens == TOKENS
    assert not pending.exists()


def test_a_full_disk_is_said_and_the_file_stays(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(store)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with store.locked() as held, pytest.raises(SourceError, match=r"No space left.*free space"):
        held.begin_refresh("refresh-1")
    monkeypatch.undo()
    assert store.read().tokens == TOKENS


def test_the_file_is_on_disk_before_it_has_its_name(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def told_fsync(descriptor: int) -> None:
        order.append("fsync of " + Path(f"/proc/self/fd/{descriptor}").resolve().name)
        fsync(descriptor)

    def told_replace(*names: Path) -> None:
        order.append("replace")
        replace(*names)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(os, "replace", told_replace)
    _save(store)
    assert order == ["fsync of .bitrix24__main.json.pending", "replace", "fsync of tokens"]
