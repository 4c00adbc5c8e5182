"""Raw in: what every load of telephony must look like before anybody counts it.

Tables of providers that a company does not have are empty, and pass. Codes that nobody knows yet
are told one by one by the rule CODES; here their share says that we read a field wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from expectations.suites.boundary import Boundary
from expectations.suites.raw_tables import (
    KNOWN_TYPE,
    Figures,
    bookkeeping_boundaries,
    raw_boundary,
)

_SCHEMA = "raw_telephony"
_boundary = partial(raw_boundary, _SCHEMA)
_LONGEST_SECONDS = 4 * 3600

ASTERISK_RESULTS = ("ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION")
ZADARMA_RESULTS = (
    "answered", "busy", "cancel", "no answer", "failed", "no money", "unallocated number",
    "no limit", "no day limit", "line limit", "no money no limit",
)  # fmt: skip
BINOTEL_RESULTS = (
    "ANSWER", "TRANSFER", "ONLINE", "BUSY", "NOANSWER", "CANCEL", "CONGESTION", "CHANUNAVAIL",
    "VM", "VM-SUCCESS", "SMS-SENDING", "SMS-SUCCESS", "SMS-FAILED",
)  # fmt: skip


def _unknown(column: str, known: Iterable[str], says: str) -> Figures:
    values = ", ".join(f"'{value}'" for value in known)
    return {KNOWN_TYPE: (f"{column} not in ({values})", says)}


def _absurd(*columns: str) -> Figures:
    """Lengths below 0 or beyond four hours."""
    offends = " or ".join(f"{column} not between 0 and {_LONGEST_SECONDS}" for column in columns)
    return {"absurd_length_share": (offends, "calls last up to four hours")}


TELEPHONY_BOUNDARIES: tuple[Boundary, ...] = (
    _boundary(
        "asterisk_records_have_keys_and_known_results",
        "asterisk_cdr",
        "calldate",
        key=("row_key",),
        shares={
            **_unknown("upper(disposition)", ASTERISK_RESULTS, "results are Asterisk's"),
            **_absurd("duration", "billsec"),
        },
    ),
    _boundary(
        "mango_calls_have_keys_and_an_order",
        "mango_calls",
        "start",
        key=("row_key",),
        shares={
            "backward_share": ("finish < start or finish < answer", "calls end after they began")
        },
    ),
    _boundary(
        "uis_calls_have_keys_and_known_directions",
        "uis_calls",
        "start_time",
        shares={
            **_unknown("direction", ("in", "out"), "calls come in or go out"),
            **_absurd("talk_duration", "total_duration"),
        },
    ),
    _boundary(
        "uis_legs_have_keys_and_calls",
        "uis_call_legs",
        "start_time",
        "call_session_id",
        shares=_absurd("duration", "total_duration"),
    ),
    _boundary(
        "megafon_calls_have_keys_and_known_types",
        "megafon_calls",
        "start",
        key=("row_key",),
        shares={
            **_unknown("lower(type)", ("in", "out", "missed"), "calls come in, go out, are missed"),
            **_absurd("wait", "duration"),
        },
    ),
    _boundary(
        "zadarma_legs_have_keys_and_known_results",
        "zadarma_calls",
        "callstart",
        key=("row_key",),
        shares={
            **_unknown("lower(disposition)", ZADARMA_RESULTS, "results are the documented ones"),
            **_absurd("seconds"),
        },
    ),
    _boundary(
        "binotel_calls_have_keys_and_known_results",
        "binotel_calls",
        "start_time",
        key=("general_call_id",),
        shares={
            **_unknown("upper(disposition)", BINOTEL_RESULTS, "results are the documented ones"),
            **_absurd("waitsec", "billsec"),
        },
    ),
    _boundary(
        "ringostat_calls_have_keys_and_possible_lengths",
        "ringostat_calls",
        "calldate",
        key=("uniqueid",),
        shares=_absurd("billsec"),
    ),
    _boundary(
        "exported_calls_have_keys_and_possible_lengths",
        "generic_calls",
        "started_at",
        shares=_absurd("wait_seconds", "talk_seconds", "total_seconds"),
    ),
    *bookkeeping_boundaries(_SCHEMA, "telephony"),
)
