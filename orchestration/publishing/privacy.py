"""What BI sees of personal data: nothing, a keyed hash, a masked text, or the company's choice."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from sources.masking import MAY_HOLD_A_CONTACT, Treatment, without_contacts

if TYPE_CHECKING:
    from orchestration.settings import Settings

DEFAULTS: Mapping[str, Treatment] = {
    "none": "show",
    "phone": "hash",
    "email": "hash",
    "name": "hash",
    "text": "hide",
}
"""By `meta.pii`. A hash of a free text would join nothing; anything unknown is hidden."""

REGISTERS = frozenset({"metric_call_register__by_call", "metric_missed_calls__by_case"})
"""Tables whose numbers must be dialled: published whole for `bi_sales` alone."""

HASH_LENGTH = 32
"""Hex digits, 128 bits: no two phones of a company share one."""

_AS_TYPED = frozenset(
    {
        # the company's own numbers
        "extension",
        "line",
        "rung_extensions",
        # its dictionaries, which administrators keep: articles and codes look like phones
        "department_name",
        "department_path",
        "pipeline_name",
        "product_name",
        "stage_name",
        "step_name",
    }
)
_AS_TYPED_ENDINGS = ("_id", "_key", "_url", "_code", "_email")
_AS_TYPED_BEGINNINGS = ("utm_",)
"""Ids, links, and tags of advertisements, whose numbers are ids too."""


def expression(column: str, kind: str, pii: str, treatment: Treatment) -> tuple[str, str] | None:
    """What is published of a column: its published name and its SQL; None: nothing.

    Other texts are masked where somebody may have typed a client's number. It is done here, at
    publishing, and not in models: quality rules and matching need the true values, and a column
    that comes later is covered by what it is not rather than by what somebody remembers.
    """
    quoted = f'"{column}"'
    if treatment == "hide":
        return None
    if treatment == "hash":
        return f"{column}_hash", f"keyed_hash({quoted})"
    may_be_typed = pii == "none" and kind.lower() == "varchar" and not _is_as_typed(column)
    if treatment == "mask" or may_be_typed:
        return column, f"masked({quoted})"
    return column, quoted


def _is_as_typed(column: str) -> bool:
    return (
        column in _AS_TYPED
        or column.endswith(_AS_TYPED_ENDINGS)
        or column.startswith(_AS_TYPED_BEGINNINGS)
    )


def define_functions(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """`keyed_hash` and `masked`, as expressions use them.

    `keyed_hash` is HMAC-SHA-256 in SQL (RFC 2104): a hundred times faster than a call of Python for
    each row.
    """
    block = (sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
    connection.execute(
        "create macro keyed_hash(told) as case when told is not null then "
        f"left(sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(told)))), "
        f"{HASH_LENGTH}) end"
    )
    connection.create_function(
        "without_contacts",
        without_contacts,
        ["VARCHAR"],
        "VARCHAR",
    )
    connection.execute(
        f"create macro masked(told) as case when regexp_matches(told, '{MAY_HOLD_A_CONTACT}') "
        "then without_contacts(told) else told end"
    )


def keyed_hash(key: bytes, told: str) -> str:
    """What `keyed_hash` of SQL gives: to find a known phone in published tables."""
    return hmac.new(key, told.encode(), sha256).hexdigest()[:HASH_LENGTH]


def hash_key(settings: Settings) -> bytes:
    """The company's key: from the environment, else from its file, made once."""
    given = settings.hash_key.get_secret_value().strip()
    if given:
        return given.encode()
    path = settings.hash_key_file
    if not path.exists():
        _make_key(path)
    return path.read_text(encoding="ascii").strip().encode()


def _make_key(path: Path) -> None:
    """Whoever links first has made it: two publishers never hash with two keys."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    # Readable by its owner alone (0600) from the beginning.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(file.name)


def pii_of(column: Mapping[str, Any]) -> str:
    """`meta.pii` of a column of dbt's manifest; unmarked is not none."""
    return str(column.get("config", {}).get("meta", {}).get("pii", "unmarked"))
