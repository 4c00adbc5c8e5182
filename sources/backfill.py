"""Reading again what was created in a window, beside the cursors: the back-fill of a connection."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Mapping

import dlt

from sources.bookkeeping import open_books
from sources.connection import Connector, Request, Tally
from sources.errors import InputError, SourceError
from sources.loading import tidy_up
from sources.pipelines import run

logger = logging.getLogger("callfunnel.load")


def backfill_connection(
    pipeline: dlt.Pipeline,
    connector: Connector,
    entities: Collection[str],
    start: dt.datetime,
    end: dt.datetime,
) -> Mapping[str, int]:
    """Read again what was created in `[start, end)`, without moving a cursor.

    Args:
        pipeline: made by `make_pipeline`.
        connector: the account to read.
        entities: their names; empty: all that have a time of creation.
        start: aware.
        end: aware, after `start`.

    Returns:
        Rows received by entity. Dictionaries are read whole. The details of owners created in the
        window (of all, or of the details named) are due again and follow in the next load.

    Raises:
        InputError: an unknown entity; an empty window.
        SourceError: the system can't be read.
    """
    known = {entity.name: entity for entity in connector.entities}
    wanted = list(entities) or list(known)
    for name in wanted:
        if name not in known:
            raise InputError(
                f"{connector.source_key} has no entity '{name}'; choose from {', '.join(known)}."
            )
    if end <= start:
        raise InputError("The back-fill's end must lie after its start.")
    try:
        tidy_up(pipeline, connector)
        tally = Tally()
        cut = connector.cut()
        # One package for each entity, in loading order: what points to cards comes after them.
        read = [name for name in known if name in wanted and not known[name].is_detail]
        for name in read:
            logger.info("%s: back-filling %s", connector.source_key, name)
            run(pipeline, connector.source(cut, tally, Request(only={name}, window=(start, end))))
        missing = tally.refused | tally.failed
        if missing:
            raise SourceError(" ".join(f"{name}: {told}" for name, told in missing.items()))
        with open_books(pipeline, connector.source_key) as books:
            if books.has("detail_reads"):
                again = connector.forget_details(books.connection, wanted, start, end)
                logger.info("%s: details of %s owners are due again", connector.source_key, again)
        return {name: tally.received.get(name, 0) for name in read}
    finally:
        connector.close()
