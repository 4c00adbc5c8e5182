"""Loading one connection: what is pending first, then new rows, then the proof that all came."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dlt

from sources.archive import write_archive
from sources.bookkeeping import Books, EntityLoad, open_books
from sources.company import Company, company
from sources.connection import (
    Connector,
    Cut,
    Entity,
    Reported,
    Request,
    Tally,
    raw_schema,
)
from sources.derived.kept import KEPT_OF_BUILDS
from sources.errors import SourceError
from sources.history import observe
from sources.pipelines import finish_pending, forget_lost_warehouse, run

LOSS_THRESHOLD_SHARE = 0.05
LOSS_THRESHOLD_ROWS = 20
"""More rows gone at once than both of these look like a limited access, not like deletions."""
OWNERS_PER_PACKAGE = 5_000
OWNERS_PER_LOAD = 50_000
"""Owners of each kind of details that one load asks for: 1,000 requests, about 8 minutes."""

logger = logging.getLogger("callfunnel.load")


@dataclass(frozen=True)
class LoadOptions:
    """How a connection is loaded.

    Attributes:
        loss_threshold_share: the share of an entity's rows that may be gone at once.
        owners_per_load: owners of each kind of details that one load asks for.
        sweeps: compare the ids of all entities one by one, not only of those that are due.
        archive_dir: the company's archive; None keeps none.
    """

    loss_threshold_share: float = LOSS_THRESHOLD_SHARE
    owners_per_load: int = OWNERS_PER_LOAD
    sweeps: bool = False
    archive_dir: Path | None = None


@dataclass(frozen=True)
class ConnectionLoad:
    """What one load of one connection did.

    Attributes:
        source_key: of the connection.
        cut_at: the system's clock that the load describes.
        entities: one reconciliation row per entity.
    """

    source_key: str
    cut_at: dt.datetime
    entities: tuple[EntityLoad, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing, as sentences."""
        told = [f"{load.entity}: {load.problem}" for load in self.entities if load.problem]
        told += [
            f"{load.entity}: the system now returns {load.rows_fewer:,} fewer than at the last "
            "load; check that the access still sees everything."
            for load in self.entities
            if load.rows_fewer
        ]
        return tuple(told)


@dataclass
class _Load:
    """A load under way."""

    pipeline: dlt.Pipeline
    connector: Connector
    options: LoadOptions
    cut: Cut
    tally: Tally = field(default_factory=Tally)
    load_ids: list[str] = field(default_factory=list)
    swept: dict[str, int] = field(default_factory=dict)
    """Entity to the rows without a readable id that its sweep has met."""
    gone: dict[str, list[int]] = field(default_factory=dict)

    def run(self, source: Any) -> None:
        self.load_ids += [str(load_id) for load_id in run(self.pipeline, source).loads_ids]

    @property
    def listed(self) -> list[Entity]:
        return [
            entity
            for entity in self.connector.entities
            if entity.is_listed and entity.name in self.cut.reported
        ]


def load_connection(
    pipeline: dlt.Pipeline, connector: Connector, options: LoadOptions | None = None
) -> ConnectionLoad:
    """Load one connection and prove that nothing is missing.

    Finishes a package that an earlier run left behind, extracts what is new up to the cut, and
    compares raw with the system's counts. Where they differ, and where it is due, the entity's ids
    are compared one by one: what is missing is read, what is gone is marked, never removed. Then
    the details of owners that have changed are read, a bounded number of them.

    Args:
        pipeline: made by `make_pipeline`.
        connector: the account to read.
        options: thresholds; see `LoadOptions`.

    Returns:
        One reconciliation row per entity; also written to `raw_<system>.load_log`, last, so that
        a load without it counts as incomplete.

    Raises:
        SourceError: the system can't be read, an entity could not be read to its end, one without
            which no report is right is refused, or so many rows are gone that a limited access is
            likelier than deletions. What could be read stays in raw; the load does not count.
    """
    try:
        tidy_up(pipeline, connector)
        cut = _up_to_known_ids(pipeline, connector, connector.cut())
        logger.info(
            "%s: loading up to %s", connector.source_key, cut.at.isoformat(timespec="seconds")
        )
        load = _Load(pipeline, connector, options or LoadOptions(), cut)
        _extract(load)
        _sweep(load)
        _read_details(load)
        _complain(load)
        return _close(load)
    finally:
        connector.close()


def tidy_up(pipeline: dlt.Pipeline, connector: Connector) -> None:
    """Bring what an earlier run left behind to its end, before anything new is read."""
    forget_lost_warehouse(pipeline)
    finish_pending(pipeline)
    _observe_leftovers(pipeline, connector)


def _observe_leftovers(pipeline: dlt.Pipeline, connector: Connector) -> None:
    """Keep the versions that a dead load brought, before this load overwrites them."""
    with open_books(pipeline, connector.source_key) as books, books.transaction():
        observe(
            books.connection,
            books.schema,
            books.source_key,
            dt.datetime.now(dt.UTC),
            connector.versioned,
        )


def load_rules(pipeline: dlt.Pipeline, rules: Company, portal_urls: Mapping[str, str]) -> None:
    """Load the company's rules into `raw_company`, whole."""
    finish_pending(pipeline)
    run(pipeline, company(rules, portal_urls))


def _up_to_known_ids(pipeline: dlt.Pipeline, connector: Connector, cut: Cut) -> Cut:
    """The cut with upper ids that reach at least as far as the last load's.

    When the newest record is deleted, the system's highest id sinks below one that raw holds.
    """
    reported = dict(cut.reported)
    with open_books(pipeline, connector.source_key) as books:
        for entity, upper in books.upper_ids().items():
            found = reported.get(entity)
            if found is not None and found.upper_id is not None:
                reported[entity] = replace(found, upper_id=max(found.upper_id, upper))
    return replace(cut, reported=reported)


def _extract(load: _Load) -> None:
    """Everything new; what the system had stopped at the cut comes when the others are through."""
    _extract_to_the_end(load, Request())
    if late := load.cut.waiting:
        counted = load.connector.count_waiting(load.cut)
        load.cut = _up_to_known_ids(load.pipeline, load.connector, counted)
        _extract_to_the_end(load, Request(only=late))


def _extract_to_the_end(load: _Load, request: Request) -> None:
    """A first load of much data takes several packages."""
    while True:
        load.run(load.connector.source(load.cut, load.tally, request))
        if not load.tally.unfinished:
            return
        request = Request(only=frozenset(load.tally.unfinished))
        load.tally.unfinished = set()


def _sweep(load: _Load) -> None:
    """Compare ids where counts differ or it is due; read what is missing, note what is gone."""
    due = list(_due_for_sweep(load))
    if not due:
        return
    missing: dict[str, Sequence[int]] = {}
    for entity in due:
        upper = load.cut.reported[entity.name].upper_id or 0
        ids = load.connector.ids(entity.name, upper)
        with open_books(load.pipeline, load.connector.source_key) as books:
            swept = books.compare(entity, ids, upper)
        limit = max(LOSS_THRESHOLD_ROWS, load.options.loss_threshold_share * swept.held)
        if len(swept.gone) > limit:
            raise SourceError(
                f"{load.connector.source_key} returned {swept.held - len(swept.gone):,} of "
                f"{swept.held:,} known {entity.name}: nothing was marked as deleted. Check that "
                "the access still sees everything (an administrator's webhook or token); if the "
                "deletions are meant, raise loss_threshold_share of the connection in company.toml "
                "for one run."
            )
        load.swept[entity.name] = swept.unreadable
        load.gone[entity.name] = load.connector.confirm_gone(entity.name, swept.gone)
        if swept.missing:
            missing[entity.name] = swept.missing
    if missing:
        load.run(load.connector.source(load.cut, load.tally, Request(ids=missing)))
    # Rows may have been deleted while we were reading: count once more, up to the same ids.
    load.cut = load.connector.recount(load.cut, [entity.name for entity in due])


def _due_for_sweep(load: _Load) -> Iterator[Entity]:
    with open_books(load.pipeline, load.connector.source_key) as books:
        last = books.last_swept_at()
        for entity in load.listed:
            if entity.name in load.tally.refused or entity.name in load.tally.failed:
                continue
            differs = bool(_listed_load(load, books, entity).unexplained)
            is_old = (
                entity.sweep_days is not None
                and entity.name in last
                and load.cut.at - last[entity.name] >= dt.timedelta(days=entity.sweep_days)
            )
            if differs:
                logger.info("%s: counts differ, comparing ids", entity.name)
            if differs or is_old or load.options.sweeps:
                yield entity


def _read_details(load: _Load) -> None:
    """Details of owners that have changed, package by package, up to the load's bound."""
    with open_books(load.pipeline, load.connector.source_key) as books:
        is_first = not books.has("detail_reads")
    if is_first:
        # The tables exist before the first owner is read, and where none ever is.
        tables = load.connector.detail_source({}, load.tally)
        if tables is None:
            return
        load.run(tables)
    left = load.options.owners_per_load
    while left > 0:
        with open_books(load.pipeline, load.connector.source_key) as books:
            limit = min(left, OWNERS_PER_PACKAGE)
            due = load.connector.details(books.connection, limit, load.tally)
        if due is None:
            return
        load.run(load.connector.detail_source(due, load.tally))
        left -= limit


def _complain(load: _Load) -> None:
    """Raise what makes the load worthless, one sentence per entity."""
    core = {entity.name for entity in load.connector.entities if entity.is_core}
    told = dict(load.tally.failed)
    told |= {name: sentence for name, sentence in load.tally.refused.items() if name in core}
    if told:
        raise SourceError(
            f"{load.connector.source_key} could not be loaded whole. "
            + " ".join(f"{name}: {sentence}" for name, sentence in told.items())
        )


def _close(load: _Load) -> ConnectionLoad:
    """Write what the load says about itself, in one transaction."""
    with open_books(load.pipeline, load.connector.source_key) as books, books.transaction():
        for entity in load.listed:
            if load.gone.get(entity.name):
                books.mark_deleted(entity, load.gone[entity.name], load.cut.at)
        _observe(load, books)
        loads = list(_loads(load, books))
        books.write_log(load.cut.at, loads)
    _archive(load)
    done = ConnectionLoad(load.connector.source_key, load.cut.at, tuple(loads))
    for problem in done.problems:
        logger.warning("%s: %s", load.connector.source_key, problem)
    return done


def _observe(load: _Load, books: Books) -> None:
    """Keep what the system forgets: owners, activity, deadlines, dictionaries."""
    observe(
        books.connection,
        books.schema,
        books.source_key,
        load.cut.at,
        load.connector.versioned,
    )


def _archive(load: _Load) -> None:
    """After the commit: what is rolled back must not be archived."""
    if load.options.archive_dir is None:
        return
    with open_books(load.pipeline, load.connector.source_key) as books:
        write_archive(
            books.connection,
            load.options.archive_dir,
            books.schema,
            books.source_key,
            load.cut.at,
            load.connector.archived,
        )
        write_archive(
            books.connection,
            load.options.archive_dir,
            raw_schema("derived"),
            books.source_key,
            load.cut.at,
            KEPT_OF_BUILDS,
            system="derived",
        )


def _loads(load: _Load, books: Books) -> Iterator[EntityLoad]:
    before = books.last_loads()
    waiting = load.connector.details_pending(books.connection)
    for entity in load.connector.entities:
        if entity.is_listed:
            found = _listed_load(load, books, entity)
        elif entity.is_detail:
            found = EntityLoad(
                entity.name,
                entity.table,
                rows_raw=books.rows_held(entity, None),
                owners_pending=waiting[entity.name].pending,
                owners_inferred=waiting[entity.name].inferred,
            )
        else:
            found = _dictionary_load(load, books, entity, before)
        problem = load.tally.refused.get(entity.name) or _of_owners(load.tally, entity.name)
        is_complete = not (problem or found.unexplained or found.owners_pending)
        yield replace(
            found,
            rows_received=load.tally.received.get(entity.name, 0),
            problem=problem,
            complete_up_to=load.cut.at.astimezone(dt.UTC)
            if is_complete
            else before.get(entity.name, (None, None))[1],
        )


def _of_owners(tally: Tally, entity: str) -> str | None:
    """What the system said of owners whose details it would not tell."""
    sentences = tally.refused_owners.get(entity)
    if not sentences:
        return None
    return f"{len(sentences):,} owners could not be read. {next(iter(sentences.values()))}"


def _listed_load(load: _Load, books: Books, entity: Entity) -> EntityLoad:
    reported = load.cut.reported.get(entity.name, Reported(None))
    upper = reported.upper_id
    if upper is None:
        return _uncounted_load(load, books, entity)
    return EntityLoad(
        entity.name,
        entity.table,
        upper_id=upper,
        rows_reported=reported.rows,
        rows_quarantined=books.rows_unreadable(entity, upper) + load.swept.get(entity.name, 0),
        rows_raw=books.rows_held(entity, upper),
        rows_deleted=books.rows_deleted(entity, upper),
        was_swept=entity.name in load.swept,
    )


def _uncounted_load(load: _Load, books: Books, entity: Entity) -> EntityLoad:
    """An entity that the system does not count by id: at most the windows that were read."""
    held = books.rows_held(entity, None)
    reported = load.tally.reported.get(entity.name)
    if reported is None:
        return EntityLoad(entity.name, entity.table, rows_raw=held)
    return EntityLoad(
        entity.name,
        entity.table,
        rows_reported=reported,
        rows_quarantined=load.tally.quarantined.get(entity.name, 0),
        rows_raw=held - books.rows_not_returned(entity, load.load_ids),
    )


def _dictionary_load(
    load: _Load,
    books: Books,
    entity: Entity,
    before: Mapping[str, tuple[int | None, dt.datetime | None]],
) -> EntityLoad:
    if entity.name not in load.tally.received:
        return EntityLoad(entity.name, entity.table, rows_raw=books.rows_held(entity, None))
    not_returned = books.rows_not_returned(entity, load.load_ids)
    before_not_returned = before.get(entity.name, (None, None))[0]
    return EntityLoad(
        entity.name,
        entity.table,
        rows_reported=load.tally.reported.get(entity.name),
        rows_quarantined=load.tally.quarantined.get(entity.name, 0),
        rows_raw=books.rows_held(entity, None),
        rows_deleted=not_returned,
        # Keys, not totals: two that are hidden must not be made up for by two that are new.
        rows_fewer=max(0, not_returned - (before_not_returned or 0)),
    )
