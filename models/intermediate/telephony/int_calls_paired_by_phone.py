"""Calls of the CRM and the telephony that no id pairs: one to one, the best match first.

In Python because the rule, taken one best pair after the other, is no set operation: a recursive
query takes a round per pair of a chain. What the rule says and why this is linear:
transform/pairing.py.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from transform.pairing import pair


def model(dbt: Any, session: Any) -> pa.Table:
    """Columns: `call_key`, `pbx_call_key`, `distance_seconds`."""
    dbt.config(materialized="table")
    rows = dbt.ref("int_calls_to_pair").order("side, row_order").fetchnumpy()
    is_crm = np.asarray(rows["side"]) == "crm"
    keys, seconds = (np.asarray(rows[name], np.int64) for name in ("row_key", "started_second"))
    groups = np.unique(np.asarray(rows["pair_group"], np.int64), return_inverse=True)[1]
    crm, pbx = np.flatnonzero(is_crm), np.flatnonzero(~is_crm)
    of_crm, of_pbx = pair(groups[crm], seconds[crm], groups[pbx], seconds[pbx])
    crm, pbx = crm[of_crm], pbx[of_pbx]
    return pa.table(
        {
            "call_key": keys[crm],
            "pbx_call_key": keys[pbx],
            "distance_seconds": np.abs(seconds[pbx] - seconds[crm]),
        }
    )
