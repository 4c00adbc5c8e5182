"""An extraction from an account: what its resources share, the page reader included."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from sources.amocrm.paging import PageReader
from sources.connection import Tally
from sources.extraction import Extraction
from sources.raw_tables import RawTable


class AmoExtraction(Extraction):
    """What the resources of one extraction from an account share."""

    def __init__(self, reader: PageReader, source_key: str, tally: Tally) -> None:
        super().__init__(source_key, tally)
        self.reader = reader
        self.client = reader.client

    def parse(self, table: RawTable, rows: list[Any], at: dt.datetime, name: str) -> pa.Table:
        """Rows as an Arrow table, without their links."""
        return super().parse(table, [without_links(row) for row in rows], at, name)


def without_links(row: Any) -> Any:
    """A row without the API's navigation, of what is embedded too."""
    if not isinstance(row, dict):
        return row
    plain = {name: value for name, value in row.items() if name != "_links"}
    embedded = plain.get("_embedded")
    if isinstance(embedded, dict):
        plain["_embedded"] = {
            name: [without_links(item) for item in value]
            if isinstance(value, list)
            else without_links(value)
            for name, value in embedded.items()
        }
    return plain
