"""What Dagster's pages show of a table: its columns and how many rows it has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import duckdb
from dagster import MetadataValue, TableColumn, TableSchema

ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"
"""Keys of metadata under which Dagster looks for them."""


def column_schemas(
    connection: duckdb.DuckDBPyConnection,
) -> Mapping[tuple[str, str], TableSchema]:
    """Columns of every table and view of the warehouse, by schema and name."""
    rows = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and not internal "
        "order by schema_name, table_name, column_index"
    ).fetchall()
    return {
        table: TableSchema([TableColumn(name=name, type=kind) for *_, name, kind in columns])
        for table, columns in itertools.groupby(rows, key=lambda row: (row[0], row[1]))
    }


def shapes_of_tables(
    connection: duckdb.DuckDBPyConnection, schema: str
) -> Mapping[str, Mapping[str, MetadataValue]]:
    """Columns and rows of the tables of one schema, by name, as metadata of their assets."""
    shapes: dict[str, Mapping[str, MetadataValue]] = {}
    for (found, table), columns in column_schemas(connection).items():
        if found == schema:
            row = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
            shapes[table] = {
                COLUMN_SCHEMA: MetadataValue.table_schema(columns),
                ROW_COUNT: MetadataValue.int(row[0] if row else 0),
            }
    return shapes
