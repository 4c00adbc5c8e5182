"""The dlt source of one telephony system; resources yield Arrow tables of a declared schema."""

from __future__ import annotations

import dlt
from dlt.extract import DltResource

from sources.connection import Cut, Request, Tally
from sources.extraction import Extraction
from sources.telephony.reading import PbxReader
from sources.telephony.windows import WindowReader, Windows


@dlt.source(name="telephony", max_table_nesting=0)
def telephony(
    reader: PbxReader,
    source_key: str,
    windows: Windows,
    cut: Cut,
    tally: Tally,
    request: Request,
) -> list[DltResource]:
    """The lists of one provider.

    Args:
        reader: the provider's.
        source_key: `<provider>:<connection>`, the first column of every table.
        windows: from when on, and how much again.
        cut: the system's clock at load start; calls that began after it wait.
        tally: counts rows, and says what was refused, failed or is unfinished.
        request: all, some lists, or a window of time.

    Returns:
        A resource per list and the quarantine of rows that could not be read.
    """
    extraction = Extraction(source_key, tally)
    resources = [
        extraction.resource(
            table.raw,
            WindowReader(extraction, reader, table, windows, cut, request).read,
            entity=table.entity,
        )
        for table in reader.tables
        if request.wants(table.entity) and request.ids is None
    ]
    return [*resources, extraction.quarantine()]
