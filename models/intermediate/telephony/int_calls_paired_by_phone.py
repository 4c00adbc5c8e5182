"""Calls of the CRM and the telephony that no id pairs: one to one, the best match first.

In Python because the rule, taken one best pair after the other, is no set operation: a recursive
query takes a round per pair of a chain. What the rule says and why this is linear:
transform/pairing.py. DuckDB sorts the rows, within its memory limit; here they come part by part.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from transform.pairing import Rows, pair

ROWS_AT_ONCE = 250_000
PAIRING = "9e80407bb4ab1f87"
"""The beginning of the SHA-256 of transform/pairing.py: where it changes, this file does, and with
its text every pair is found anew (a test compares them)."""
_COLUMNS = "pair_group, started_second, side = 'pbx' as is_pbx, row_key, row_order"
_ORDER = "pair_group, started_second, row_order"


def model(dbt: Any, session: Any) -> pa.Table:
    """Columns: `call_key`, `pbx_call_key`, `distance_seconds`."""
    dbt.config(materialized="affected_keys", affected_by=["call_key"])
    rows = dbt.ref("int_calls_to_pair").project(_COLUMNS).order(_ORDER)
    schema = pa.schema(
        [(name, pa.int64()) for name in ("call_key", "pbx_call_key", "distance_seconds")]
    )
    found = [
        pa.record_batch([part.crm, part.pbx, part.distance], schema=schema)
        for part in pair(_parts(rows.fetch_arrow_reader(ROWS_AT_ONCE)))
    ]
    return pa.Table.from_batches(found, schema)


def _parts(reader: pa.RecordBatchReader) -> Iterator[Rows]:
    for batch in reader:
        group, second, is_pbx, key = (
            batch.column(name).to_numpy(zero_copy_only=False)
            for name in ("pair_group", "started_second", "is_pbx", "row_key")
        )
        yield Rows(np.asarray(group), np.asarray(second), np.asarray(is_pbx), np.asarray(key))
