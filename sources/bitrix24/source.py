"""The dlt sources of one Bitrix24 portal; resources yield Arrow tables of a declared schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.bitrix24 import tables
from sources.bitrix24.detail_reading import DetailReader
from sources.bitrix24.details import DETAILS, Owner
from sources.bitrix24.dictionaries import Dictionaries
from sources.bitrix24.extraction import PortalExtraction
from sources.bitrix24.lister import Lister
from sources.bitrix24.lists import IdList
from sources.bitrix24.reading import Reader
from sources.connection import Cut, Request, Tally
from sources.extraction import Tables, resource


@dlt.source(name="bitrix24", max_table_nesting=0)
def bitrix24(
    reader: Reader,
    source_key: str,
    id_lists: Mapping[str, IdList],
    smart_processes: Sequence[int],
    cut: Cut,
    tally: Tally,
    request: Request,
) -> list[DltResource]:
    """Dictionaries and lists of one portal.

    Args:
        reader: the portal, read side by side.
        source_key: `bitrix24:<connection>`, the first column of every table.
        id_lists: the lists, in loading order.
        smart_processes: entity type ids whose pipelines and stages are read too.
        cut: the portal's clock and counts at load start; rows after it stay in raw and wait.
        tally: counts rows, and says what was refused, failed or is unfinished.
        request: all, some entities, a window of creation, or single ids.

    Returns:
        A resource per raw table and the quarantine of rows that could not be read.
    """
    extraction = PortalExtraction(reader, source_key, tally)
    dictionaries = Dictionaries(extraction, cut, smart_processes)
    resources = [
        extraction.resource(tables.TABLES[name], read)
        for name, read in dictionaries.readers.items()
        if request.wants(name)
    ]
    for name, entity in id_lists.items():
        if request.wants(name):
            lister = Lister(extraction, entity, cut, request)
            resources.append(extraction.resource(entity.table, lister.read, name, name))
    if not smart_processes and request == Request():
        # The table exists in every company.
        resources.append(extraction.resource(tables.SMART_ITEMS, lambda: iter(())))
    return [*resources, extraction.quarantine()]


@dlt.source(name="bitrix24", max_table_nesting=0)
def bitrix24_details(
    reader: Reader, source_key: str, due: Mapping[str, list[Owner]], tally: Tally
) -> list[DltResource]:
    """Details of the owners that are due, and the record of which owners were read.

    Args:
        reader: the portal, read side by side.
        source_key: `bitrix24:<connection>`.
        due: owners by entity.
        tally: counts rows, and says what was refused or failed.

    Returns:
        A resource per detail table, `detail_reads` and the quarantine. The record of an owner
        comes in the same package as its rows. Tables without an owner that is due are made too:
        they exist in every company.
    """
    extraction = PortalExtraction(reader, source_key, tally)
    marks: list[pa.Table] = []
    resources = [
        extraction.resource(detail.table, DetailReader(extraction, detail, due, marks).read)
        for detail in DETAILS
    ]

    def detail_reads() -> Tables:
        while extraction.waiting > 0:
            yield None
        yield pa.concat_tables([tables.DETAIL_READS_SCHEMA.empty_table(), *marks])

    return [
        *resources,
        resource(detail_reads, "detail_reads", "detail_reads", tables.DETAIL_READS_KEY, ()),
        extraction.quarantine(),
    ]
