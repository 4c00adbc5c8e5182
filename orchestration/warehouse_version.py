"""The version of a warehouse file: code that is older than the file leaves it alone."""

from __future__ import annotations

from pathlib import Path

import duckdb

from sources.errors import CallfunnelError

WAREHOUSE_VERSION = 1
"""Raised where older code would misread, or damage, what newer code has written."""


class WarehouseTooNew(CallfunnelError):
    """A newer callfunnel, or a newer DuckDB, has written the warehouse; the message says which."""


def claim_warehouse(warehouse: Path) -> None:
    """Note in the warehouse that this version writes it; call under the lock, before anything else.

    Args:
        warehouse: the DuckDB file; made if there is none yet.

    Raises:
        WarehouseTooNew: it was written by a version that this one does not know.
    """
    try:
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("create schema if not exists raw_derived")
            connection.execute(
                "create table if not exists raw_derived.warehouse_version (version bigint)"
            )
            written = connection.execute(
                "select max(version) from raw_derived.warehouse_version"
            ).fetchall()[0][0]
            if written is None:
                connection.execute(
                    "insert into raw_derived.warehouse_version values (?)", [WAREHOUSE_VERSION]
                )
            elif written < WAREHOUSE_VERSION:
                connection.execute(
                    "update raw_derived.warehouse_version set version = ?", [WAREHOUSE_VERSION]
                )
    except duckdb.Error as error:
        if "version number" not in str(error):
            raise
        raise WarehouseTooNew(
            f"{warehouse} was written by a newer DuckDB than {duckdb.__version__}. {_REMEDY}"
        ) from None
    if written is not None and written > WAREHOUSE_VERSION:
        raise WarehouseTooNew(
            f"{warehouse} was written by a newer callfunnel: its version is {written}, and this "
            f"one knows up to {WAREHOUSE_VERSION}. {_REMEDY}"
        )


_REMEDY = (
    "Update callfunnel (git pull, make setup), or build another warehouse out of the archive with "
    "make restore FORCE=1, which sets this one aside."
)
