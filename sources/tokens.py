"""Where the tokens of a connection stand whose refresh tokens may be used only once.

Every refresh makes the refresh token before it worthless, so a new one that is not saved is an
authorisation lost: one process refreshes at a time, and what it was doing is written down first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sources.errors import SourceError

AUTHORISE_ANEW = (
    "authorise the application anew (make authorise), or put a new refresh_token into the secrets"
)


@dataclass(frozen=True)
class Tokens:
    """One pair of tokens and what was said with it.

    Attributes:
        access_token: what requests carry.
        refresh_token: good for one refresh.
        expires_at: when the access token ends, by the server's word; aware, UTC.
        endpoint: the base address of the account's API, as the server gave it.
        account_id: the account's own key, which stays when its address changes (Bitrix24's
            member_id); empty where the system has none.
        seed_fingerprint: of the refresh token in the secrets that these tokens descend from;
            empty where none was set.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: dt.datetime
    endpoint: str
    account_id: str = ""
    seed_fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.expires_at.tzinfo is None:
            raise ValueError("expires_at needs a time zone")


@dataclass(frozen=True)
class RefreshMark:
    """A refresh that was begun and of which no end is known.

    Attributes:
        refreshing_since: when the token server was first asked.
        grant_fingerprint: of the refresh token that was sent.
        answered_by: the account that answered, where it was another than the stored one and the
            answer was therefore refused; the refresh token is used up then.
    """

    refreshing_since: dt.datetime
    grant_fingerprint: str
    answered_by: str = ""


@dataclass(frozen=True)
class Stored:
    """What a token file holds."""

    tokens: Tokens | None = None
    mark: RefreshMark | None = None


class TokenStore:
    """The token file of one connection, readable by its owner only.

    Beside it stand `<name>.lock` and, while something is written, `.<name>.pending`. A process
    that is killed between writing and renaming leaves the pending file, whole: the next one who
    takes the lock finishes the renaming, so the tokens in it are not lost.

    Args:
        path: the file; its folder is made, and closed to everybody else (mode 0700).
        lock_timeout_seconds: how long to wait for another process that refreshes.
    """

    def __init__(self, path: Path, *, lock_timeout_seconds: float = 300.0) -> None:
        self.path = path
        self._pending = path.with_name(f".{path.name}.pending")
        self._lock_file = path.with_name(f"{path.name}.lock")
        self._lock_timeout_seconds = lock_timeout_seconds

    def __repr__(self) -> str:
        return f"TokenStore({str(self.path)!r})"

    def read(self) -> Stored:
        """What is stored now; never half a write. Not to be called inside `locked()`.

        Raises:
            SourceError: the file can't be read, or is not a token file.
        """
        if self._pending.exists():
            with self.locked() as held:
                return held.stored
        return self._load()

    @contextlib.contextmanager
    def locked(self) -> Iterator[LockedTokens]:
        """Hold the connection's lock, against threads and processes, while the block runs.

        The operating system frees the lock when its process dies.

        Raises:
            SourceError: another process holds the lock for too long, or folder or file can't be
                used.
        """
        lock = FileLock(self._lock_file, timeout=self._lock_timeout_seconds, mode=0o600)
        problem = ""
        try:
            self._make_folder()
            lock.acquire()
        except Timeout:
            problem = (
                f"Another process has been refreshing the tokens in {self.path} for "
                f"{self._lock_timeout_seconds:.0f} s: wait until it has ended, or stop it, then "
                "run again."
            )
        except OSError as error:
            problem = self._cannot("be locked", error)
        if problem:
            raise SourceError(problem)
        try:
            self._finish_pending()
            yield LockedTokens(self, self._load())
        finally:
            lock.release()

    def _load(self) -> Stored:
        problem = ""
        try:
            stored = _parsed(self.path.read_bytes())
        except FileNotFoundError:
            return Stored()
        except OSError as error:
            problem = self._cannot("be read", error)
            stored = None
        if problem:
            raise SourceError(problem)
        if stored is None:
            raise SourceError(
                f"The token file {self.path} is damaged (cut off or edited by hand): move it away "
                f"and {AUTHORISE_ANEW}."
            )
        return stored

    def _save(self, stored: Stored) -> None:
        problem = ""
        try:
            self._pending.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(self._pending, flags, 0o600), "wb") as file:
                file.write(_printed(stored))
                file.flush()
                os.fsync(file.fileno())
            self._rename_pending()
        except OSError as error:
            problem = self._cannot("be written", error)
        if problem:
            raise SourceError(problem)

    def _finish_pending(self) -> None:
        """Take over what a killed process had written whole; drop what it had not."""
        problem = ""
        try:
            if not self._pending.exists():
                return
            if _parsed(self._pending.read_bytes()) is None:
                self._pending.unlink()
            else:
                self._rename_pending()
        except OSError as error:
            problem = self._cannot("be written", error)
        if problem:
            raise SourceError(problem)

    def _rename_pending(self) -> None:
        os.replace(self._pending, self.path)  # noqa: PTH105
        # Without this a power cut may bring back the old name, and with it the used-up token.
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make_folder(self) -> None:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)

    def _cannot(self, what: str, error: OSError) -> str:
        return (
            f"The token file {self.path} can't {what} ({error.strerror or type(error).__name__}): "
            f"let the user who runs callfunnel own the folder {self.path.parent}, and check the "
            "disk's free space; then run again."
        )


class LockedTokens:
    """Reading and writing inside `TokenStore.locked()`; of no use after the block."""

    def __init__(self, store: TokenStore, stored: Stored) -> None:
        self._store = store
        self.stored = stored

    def begin_refresh(self, grant: str) -> RefreshMark | None:
        """Write down that the refresh token `grant` is about to be sent.

        Returns:
            The mark of an earlier refresh with the same token, whose end nobody knows; it stays
            as it was. None where there is none.

        Raises:
            SourceError: the file can't be written; nothing may be sent then.
        """
        sent = fingerprint(grant)
        earlier = self.stored.mark
        if earlier is not None and earlier.grant_fingerprint == sent:
            return earlier
        self._write(Stored(self.stored.tokens, RefreshMark(dt.datetime.now(dt.UTC), sent)))
        return None

    def refuse_refresh(self, answered_by: str) -> None:
        """Write down that the refresh begun was answered by another account.

        Raises:
            SourceError: the file can't be written.
        """
        mark = self.stored.mark
        if mark is None:
            raise ValueError("no refresh was begun")
        refused = RefreshMark(mark.refreshing_since, mark.grant_fingerprint, answered_by)
        self._write(Stored(self.stored.tokens, refused))

    def end_refresh(self) -> None:
        """Forget the refresh begun: the server has said that it did not take place.

        Raises:
            SourceError: the file can't be written.
        """
        self._write(Stored(self.stored.tokens))

    def save(self, tokens: Tokens) -> None:
        """Keep new tokens, and forget the refresh that brought them; on disk when it returns.

        Raises:
            SourceError: the file can't be written; the tokens may not be used then.
        """
        self._write(Stored(tokens))

    def _write(self, stored: Stored) -> None:
        self._store._save(stored)
        self.stored = stored


def token_file(data_dir: Path, system: str, connection: str) -> Path:
    """`data/<company>/tokens/<system>__<connection>.json`."""
    return data_dir / "tokens" / f"{system}__{connection}.json"


def fingerprint(secret: str) -> str:
    """The SHA-256 of a secret, in hex: tells whether it is another one, never which."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _printed(stored: Stored) -> bytes:
    tokens, mark = stored.tokens, stored.mark
    content: dict[str, Any] = {"tokens": None, "mark": None}
    if tokens is not None:
        content["tokens"] = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "expires_at": tokens.expires_at.astimezone(dt.UTC).isoformat(),
            "endpoint": tokens.endpoint,
            "account_id": tokens.account_id,
            "seed_fingerprint": tokens.seed_fingerprint,
        }
    if mark is not None:
        content["mark"] = {
            "refreshing_since": mark.refreshing_since.isoformat(),
            "grant_fingerprint": mark.grant_fingerprint,
            "answered_by": mark.answered_by,
        }
    return (json.dumps(content, indent=2) + "\n").encode()


def _parsed(raw: bytes) -> Stored | None:
    """The content of a token file; None where it is not one, or not a whole one."""
    # No error leaves this function: that of the JSON library holds the document.
    try:
        content = json.loads(raw)
        tokens, mark = content["tokens"], content["mark"]
        if not all(isinstance(v, str) for part in (tokens, mark) if part for v in part.values()):
            return None
        return Stored(
            tokens and Tokens(**{**tokens, "expires_at": _instant(tokens["expires_at"])}),
            mark
            and RefreshMark(**{**mark, "refreshing_since": _instant(mark["refreshing_since"])}),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
