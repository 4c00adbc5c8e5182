"""Looking for telephone numbers, e-mails, names and secrets in files and tables, however packed.

Numbers are compared by their last ten digits, whatever stands between the digits; names by two
words that follow each other, in either order.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import re
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

DIGITS = 10
SQLITE = b"SQLite format 3\0"
_PUNCTUATION = re.compile(r"[^\w\s'’-]+")
"""Ends a name: in a list, one person's last name stands before the next one's first."""
_RUN = re.compile(rb"\d(?:[ ().+-]{0,3}\d){9,}")
_NOT_DIGITS = bytes(sorted(set(range(256)) - set(b"0123456789")))
_E_MAIL = re.compile(rb"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)


@dataclass(frozen=True)
class Contacts:
    """What must not be found: last ten digits of numbers, e-mails, further texts."""

    numbers: frozenset[bytes]
    e_mails: frozenset[bytes]
    secrets: tuple[bytes, ...] = ()

    def found_in(self, text: bytes) -> Iterator[str]:
        for run in _RUN.finditer(text):
            digits = run.group().translate(None, _NOT_DIGITS)
            for begin in range(len(digits) - DIGITS + 1):
                if digits[begin : begin + DIGITS] in self.numbers:
                    yield text[max(0, run.start() - 40) : run.end() + 20].decode(errors="replace")
        if b"@" in text:
            for address in _E_MAIL.finditer(text):
                if address.group().lower() in self.e_mails:
                    yield address.group().decode()
        for secret in self.secrets:
            if secret in text:
                yield secret.decode()


def in_file(path: Path, contacts: Contacts) -> list[str]:
    """What is found in a file; parquet and SQLite are read as tables too, gzip is unpacked."""
    if path.suffix == ".parquet":
        return in_relation(f"'{path}'", contacts)
    held = path.read_bytes()
    if held[:2] == b"\x1f\x8b":
        held = gzip.decompress(held)
    elif held[:1] == b"\x78" and held[1:2] in (b"\x01", b"\x9c", b"\xda"):
        held = zlib.decompress(held)
    found = list(contacts.found_in(held))
    if held.startswith(SQLITE):
        found += in_sqlite(path, contacts)
    return found


def in_sqlite(path: Path, contacts: Contacts) -> list[str]:
    """What is found in any value of a SQLite database: a long one lies on several pages."""
    found: list[str] = []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            rows = database.execute(f'select * from "{table.decode()}"')
            columns = [one[0] for one in rows.description]
            for column, value in itertools.chain.from_iterable(
                zip(columns, row, strict=True) for row in rows
            ):
                text = value if isinstance(value, bytes) else str(value).encode()
                found += [f"{table.decode()}.{column}: {one}" for one in contacts.found_in(text)]
    return found


def names_in(text: str, names: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """The names, pairs of words in lower case, that a text holds."""
    return [
        pair
        for part in _PUNCTUATION.split(text.lower())
        for one, other in itertools.pairwise(part.split())
        for pair in ((one, other), (other, one))
        if pair in names
    ]


def in_relation(
    relation: str, contacts: Contacts, connection: duckdb.DuckDBPyConnection | None = None
) -> list[str]:
    """What is found in any value of a table; our own keys are hashes and look like anything."""
    ask = (connection or duckdb).execute
    columns = [(row[0], row[1]) for row in ask(f"describe from {relation}").fetchall()]
    found: list[str] = []
    for column, kind in columns:
        if column.endswith("_key") and column != "source_key":
            continue
        told = f'"{column}"::varchar'
        if kind.startswith(("DOUBLE", "DECIMAL")):
            # A number to call has no fraction; digits of a rounding error may be anything.
            told = f'case when "{column}" = floor("{column}") then "{column}"::hugeint::varchar end'
        rows = ask(
            f"select distinct {told} from {relation} where length({told}) >= {DIGITS}"
        ).fetchall()
        text = "\n".join(value for (value,) in rows).encode()
        found += [f"{column}: {one}" for one in contacts.found_in(text)]
    return found


def last_digits(numbers: Iterable[str | None]) -> frozenset[bytes]:
    """Of every number that has as many."""
    digits = (re.sub(r"\D", "", number or "")[-DIGITS:] for number in numbers)
    return frozenset(one.encode() for one in digits if len(one) == DIGITS)
