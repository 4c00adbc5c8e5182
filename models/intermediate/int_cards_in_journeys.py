"""Cards of each funnel in the journeys of their clients.

In Python because each card continues one card and is continued by one, taken in the order in which
they came: no set operation says that. What the rule is: transform/journeys.py.
"""

from typing import Any

import pyarrow as pa

from transform.journeys import Card, join_journeys

MICROSECONDS_OF_A_DAY = 86_400_000_000
JOURNEYS = "cc74fdd9f93a5caf"
"""The beginning of the SHA-256 of transform/journeys.py: where it changes, this file does, and with
its text every journey is joined anew (a test compares them)."""


def model(dbt: Any, session: Any) -> pa.Table:
    """Columns: `funnel_key`, `card_key`, `journey_card_key`, `previous_card_key`, `card_basis`."""
    dbt.config(materialized="affected_keys", affected_by=["card_key"])
    (window_days,) = dbt.ref("stg_company__report_rules").project("next_deal_days").fetchone()
    rows = dbt.ref("int_journey_cards").project(
        "funnel_key, card_key, client_key, made_from_lead_key, first_step_number, "
        "last_step_number, epoch_us(entered_at), epoch_us(last_reached_at)"
    )
    placed = join_journeys(
        (Card(*row) for row in rows.fetchall()), window_days * MICROSECONDS_OF_A_DAY
    )
    columns = list(zip(*placed, strict=True)) or [()] * 5
    schema = pa.schema(
        [
            ("funnel_key", pa.int64()),
            ("card_key", pa.int64()),
            ("journey_card_key", pa.int64()),
            ("previous_card_key", pa.int64()),
            ("card_basis", pa.string()),
        ]
    )
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
