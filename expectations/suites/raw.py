"""Raw in: what every load of Bitrix24 must look like before anybody counts it."""

from __future__ import annotations

from expectations.suites.boundary import Bound, Boundary

_SCHEMA = "raw_bitrix24"


def _keys(table: str, *required: str) -> str:
    nulls = " or ".join(f"{column} is null" for column in required)
    return f"""
        select
            count(*) - count(distinct (source_key, id)) as duplicate_keys_count,
            count(*) filter (where {nulls}) as missing_count
        from {_SCHEMA}.{table}
    """


_KEY_BOUNDS = (
    Bound("duplicate_keys_count", "no id stands twice", maximum=0),
    Bound("missing_count", "no required field is empty", maximum=0),
)

RAW_BOUNDARIES: tuple[Boundary, ...] = (
    Boundary(
        "raw_deals_have_keys_and_dates",
        _SCHEMA,
        "deals",
        _keys("deals", "id", "date_create", "stage_id"),
        _KEY_BOUNDS,
        is_blocking=True,
    ),
    Boundary(
        "raw_stage_history_has_keys_and_known_types",
        _SCHEMA,
        "stage_history",
        f"""
        select
            count(*) - count(distinct (source_key, id)) as duplicate_keys_count,
            count(*) filter (where owner_id is null or created_time is null) as missing_count,
            avg((type_id not in (1, 2, 3, 5))::integer) as unknown_type_share
        from {_SCHEMA}.stage_history
        """,
        (
            *_KEY_BOUNDS,
            Bound("unknown_type_share", "entry types are 1, 2, 3 or 5", maximum=0.01),
        ),
    ),
    Boundary(
        "raw_calls_have_keys_and_known_codes",
        _SCHEMA,
        "calls",
        f"""
        select
            count(*) - count(distinct (source_key, id)) as duplicate_keys_count,
            count(*) filter (where call_start_date is null) as missing_count,
            avg((call_type not between 1 and 5)::integer) as unknown_type_share,
            avg((call_duration < 0 or call_duration > 14400)::integer) as absurd_length_share
        from {_SCHEMA}.calls
        """,
        (
            *_KEY_BOUNDS,
            Bound("unknown_type_share", "call types are 1 to 5", maximum=0.01),
            Bound("absurd_length_share", "calls last 0 to 4 hours", maximum=0.01),
        ),
    ),
    Boundary(
        "raw_users_have_keys",
        _SCHEMA,
        "users",
        _keys("users", "id"),
        _KEY_BOUNDS,
        is_blocking=True,
    ),
)
