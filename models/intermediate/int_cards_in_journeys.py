"""Cards of each funnel in the journeys of their clients.

In Python because each card continues one card and is continued by one, taken in the order in which
they came: no set operation says that. What the rule is: transform/journeys.py.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from transform.journeys import Card, Placed, join_journeys

MICROSECONDS_OF_A_DAY = 86_400_000_000
JOURNEYS = "cc74fdd9f93a5caf"
"""The beginning of the SHA-256 of transform/journeys.py: where it changes, this file does, and with
its text every journey is joined anew (a test compares them)."""


_COLUMNS = (
    "funnel_key, card_key, client_key, made_from_lead_key, first_step_number, last_step_number, "
    "epoch_us(entered_at), epoch_us(last_reached_at), part_number"
)
ROWS_AT_ONCE = 10_000


def model(dbt: Any, session: Any) -> pa.Table:
    """Columns: `funnel_key`, `card_key`, `journey_card_key`, `previous_card_key`, `card_basis`."""
    dbt.config(materialized="affected_keys", affected_by=["card_key"])
    (window_days,) = dbt.ref("stg_company__report_rules").project("next_deal_days").fetchone()
    rows = dbt.ref("int_journey_cards").project(_COLUMNS).order("part_number")
    schema = pa.schema(
        [
            ("funnel_key", pa.int64()),
            ("card_key", pa.int64()),
            ("journey_card_key", pa.int64()),
            ("previous_card_key", pa.int64()),
            ("card_basis", pa.string()),
        ]
    )
    # Part by part: a million cards at once take a gigabyte.
    placed = [
        _table(join_journeys(cards, window_days * MICROSECONDS_OF_A_DAY), schema)
        for cards in _parts(rows)
    ]
    return pa.concat_tables([schema.empty_table(), *placed])


def _parts(rows: Any) -> Iterator[list[Card]]:
    read = iter(lambda: rows.fetchmany(ROWS_AT_ONCE), [])
    for _, part in groupby(chain.from_iterable(read), itemgetter(-1)):
        yield [Card(*row[:-1]) for row in part]


def _table(placed: Iterable[Placed], schema: pa.Schema) -> pa.Table:
    columns = zip(*placed, strict=True)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
