"""The dlt source of one amoCRM account; resources yield Arrow tables of a declared schema."""

from __future__ import annotations

from collections.abc import Mapping

import dlt
from dlt.extract import DltResource

from sources.amocrm import tables
from sources.amocrm.dictionaries import Dictionaries
from sources.amocrm.extraction import AmoExtraction
from sources.amocrm.lister import EventLister, Lister
from sources.amocrm.lists import AmoList
from sources.amocrm.paging import PageReader
from sources.connection import Cut, Request, Tally


@dlt.source(name="amocrm", max_table_nesting=0)
def amocrm(
    reader: PageReader,
    source_key: str,
    lists: Mapping[str, AmoList],
    cut: Cut,
    tally: Tally,
    request: Request,
    vanished: dict[str, int],
) -> list[DltResource]:
    """Dictionaries, lists and events of one account.

    Args:
        reader: the account, page by page.
        source_key: `amocrm:<connection>`, the first column of every table.
        lists: in loading order.
        cut: the server's clock and highest ids at load start; rows after it wait.
        tally: counts rows, and says what was refused, failed or is unfinished.
        request: all, some entities, a window of creation, or single ids.
        vanished: takes, by entity, how many of the single ids are gone by now.

    Returns:
        A resource per raw table (notes: per kind of card) and the quarantine of rows that could
        not be read.
    """
    extraction = AmoExtraction(reader, source_key, tally)
    resources = [
        extraction.resource(tables.TABLES[name], read)
        for name, read in Dictionaries(extraction).readers.items()
        if request.wants(name)
    ]
    for name, entity in lists.items():
        if request.wants(name):
            lister = Lister(extraction, entity, cut, request, vanished)
            resources.append(extraction.resource(entity.table, lister.read, name, name))
    if request.wants(tables.EVENTS.name) and request.ids is None:
        events = EventLister(extraction, cut, request)
        resources.append(extraction.resource(tables.EVENTS, events.read))
    return [*resources, extraction.quarantine()]
