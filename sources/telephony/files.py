"""Files of calls in a company's data folder: which, how old, their lines."""

from __future__ import annotations

import codecs
import contextlib
import datetime as dt
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sources.errors import InputError, SourceError
from sources.telephony.reading import PbxAccess
from sources.telephony.records import text_of

SLICE_DAYS = 366
"""Of a first load: every window reads the files anew, and keeps the keys of its rows."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def found_files(access: PbxAccess, pattern: str) -> list[Path]:
    """The files that the rules name, the newest first.

    Args:
        access: of the connection.
        pattern: a path, relative to the company's data folder unless it is absolute; `*`, `?` and
            `[…]` are allowed.

    Raises:
        InputError: there is none.
    """
    named = access.data_dir.resolve() / pattern
    if named.is_file():
        return [named]
    folder = Path(named.anchor)
    files = [path for path in folder.glob(str(named.relative_to(folder))) if path.is_file()]
    if not files:
        raise InputError(
            f"Connection '{access.connection}' of company '{access.secrets.company}' has no file "
            f"{named}: put it there, or correct `file = …` of the connection in company.toml."
        )
    # Where exports overlap, the first row of a key is the one that counts.
    return sorted(files, key=lambda path: (-path.stat().st_mtime, path.name))


def written_at(files: Iterable[Path]) -> dt.datetime:
    """When the newest of the files was written: no call in them is younger.

    The full second after it, since copies often keep whole seconds and the last call may bear the
    very same; and no later than this machine's clock.

    Raises:
        SourceError: none is there any more.
    """
    times = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    if not times:
        raise SourceError("The files of calls have gone while they were read: run again.")
    newest = dt.datetime.fromtimestamp(math.floor(max(times)) + 1, dt.UTC)
    return min(newest, dt.datetime.now(dt.UTC))


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file with their ends, unpacked if its name ends in `.gz`.

    UTF-8, line by line an old Windows encoding where that is none, or UTF-16 with its mark.

    Raises:
        SourceError: it can't be read.
    """
    with _opened(path) as stream:
        if stream.peek(2)[:2] in _UTF_16:
            yield from io.TextIOWrapper(stream, encoding="utf-16", newline="")
            return
        for number, line in enumerate(stream):
            yield text_of(line).removeprefix("\ufeff") if number == 0 else text_of(line)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    try:
        with path.open("rb") as file:
            if path.suffix != ".gz":
                yield file
                return
            with gzip.open(file) as unpacked:
                yield io.BufferedReader(unpacked)
    except (OSError, EOFError, zlib.error, UnicodeError) as problem:
        raise SourceError(
            f"{path} cannot be read ({problem}): let the user that runs callfunnel read it, and "
            "run again."
        ) from problem
