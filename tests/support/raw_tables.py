"""Raw tables written straight into DuckDB, as dlt leaves them."""

from __future__ import annotations

import duckdb
import pyarrow as pa


def create_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: pa.Table,
    json_columns: tuple[str, ...] = (),
) -> None:
    """One raw table (`<schema>.<table>`) from Arrow, JSON columns as JSON."""
    connection.register("arrow_rows", rows)
    columns = ", ".join(
        f'"{column}"::json as "{column}"' if column in json_columns else f'"{column}"'
        for column in rows.column_names
    )
    connection.execute(f"create table {name} as select {columns} from arrow_rows")
    connection.unregister("arrow_rows")
