"""Loading: the company's rules, its accounts, and phone numbers in E.164."""

import logging
from collections.abc import Iterator, Mapping

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Config,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
    asset,
    multi_asset,
)
from pydantic import Field

from orchestration.connections import (
    connections_of,
    connector_of,
    load_options,
    make_absent_tables,
    pipeline_of,
    portal_urls,
)
from orchestration.failures import readable_failures
from orchestration.progress import relayed_to
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from orchestration.shapes import shapes_of_tables
from orchestration.systems import RAW_SCHEMAS
from sources.bookkeeping import EntityLoad
from sources.company import SCHEMAS, read_company
from sources.company.rules import Connection
from sources.derived.phone_numbers import TABLES_WITH_PHONES, add_phone_numbers
from sources.errors import CallfunnelError, SourceError
from sources.loading import ConnectionLoad, load_connection, load_rules


class LoadConfig(Config):
    """How this run loads; the daily run takes the defaults."""

    sweep: bool = Field(
        default=False,
        description="Compare the ids of all records with the system's one by one: what is missing "
        "is read, what is gone is marked. Otherwise only where counts differ, and every 7 days.",
    )


def load_assets(settings: Settings) -> list[AssetsDefinition]:
    """Assets of everything before dbt, for one company."""
    company = settings.company
    pool = f"{company}_warehouse"

    @multi_asset(
        name=f"{company}__load_rules",
        specs=[
            AssetSpec(
                AssetKey([company, "raw_company", table]),
                group_name="raw",
                owners=["team:data-engineering"],
                kinds={"dlt", "duckdb"},
                description=f"The company's rules: {table.replace('_', ' ')}.",
            )
            for table in SCHEMAS
        ],
        pool=pool,
    )
    def load_company_rules(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[MaterializeResult[None]]:
        with readable_failures(), relayed_to(context.log):
            rules = read_company(settings.company_dir)
            load_rules(pipeline_of(settings, "company", "rules"), rules, portal_urls(settings))
            logging.getLogger("callfunnel.load").info("rules of %s loaded", company)
        with warehouse.connect() as connection:
            shapes = shapes_of_tables(connection, "raw_company")
        for table in SCHEMAS:
            yield MaterializeResult(
                asset_key=AssetKey([company, "raw_company", table]),
                metadata=shapes.get(table, {}),
            )

    @asset(
        key=AssetKey([company, "raw_derived", "phone_numbers"]),
        deps=[AssetKey([company, *table]) for table in TABLES_WITH_PHONES],
        group_name="raw",
        owners=["team:data-engineering"],
        kinds={"python", "duckdb"},
        description="Phone texts of calls and contacts in E.164, only new ones.",
        pool=pool,
    )
    def phone_numbers(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> MaterializeResult[None]:
        with readable_failures():
            region = read_company(settings.company_dir).rules.company.phone_region
            with warehouse.connect() as connection:
                added = add_phone_numbers(connection, region)
                shape = shapes_of_tables(connection, "raw_derived")["phone_numbers"]
        context.log.info(f"phone numbers: {added:,} new")
        return MaterializeResult(metadata={"new": added, **shape})

    return [
        load_company_rules,
        *(_load_asset(settings, schema) for schema in RAW_SCHEMAS),
        phone_numbers,
    ]


def _load_asset(settings: Settings, schema: str) -> AssetsDefinition:
    """The tables of one raw schema, loaded connection by connection."""
    company, raw = settings.company, RAW_SCHEMAS[schema]

    def what(table: str) -> str:
        return "as received" if table in raw.received else "kept by the loads"

    @multi_asset(
        name=f"{company}__load_{schema.removeprefix('raw_')}",
        specs=[
            AssetSpec(
                AssetKey([company, schema, table]),
                group_name="raw",
                owners=["team:data-engineering"],
                kinds={"dlt", "duckdb"},
                description=f"{raw.label} {table.replace('_', ' ')}, {what(table)}.",
            )
            for table in raw.tables
        ],
        pool=f"{company}_warehouse",
    )
    def load(
        context: AssetExecutionContext, warehouse: Warehouse, config: LoadConfig
    ) -> Iterator[MaterializeResult[None]]:
        done: dict[str, MetadataValue] = {}
        with readable_failures(done), relayed_to(context.log):
            loads = _load_all(settings, schema, done, sweeps=config.sweep)
        metadata = _metadata(loads)
        with warehouse.connect() as connection:
            shapes = shapes_of_tables(connection, schema)
        for table in raw.tables:
            yield MaterializeResult(
                asset_key=AssetKey([company, schema, table]),
                metadata={**metadata.get(table, {}), **shapes.get(table, {})},
            )

    return load


def _load_all(
    settings: Settings, schema: str, done: dict[str, MetadataValue], *, sweeps: bool
) -> list[ConnectionLoad]:
    """Load every connection of a raw schema; `done` takes what is to be told if one fails.

    Raises:
        SourceError: connections could not be loaded, each with its sentence.
    """
    loads: list[ConnectionLoad] = []
    problems: list[str] = []
    connections = connections_of(settings, schema)
    if not connections or schema == "raw_telephony":
        # The tables of providers that the company does not have.
        make_absent_tables(settings, schema)
    for connection in connections:
        # An account that can't be read must not keep the others from being loaded.
        try:
            loads.append(_load(settings, connection, sweeps=sweeps))
        except CallfunnelError as error:
            problems.append(str(error))
    if problems:
        # What the other connections loaded is told all the same.
        done.update(_metadata(loads)["load_log"])
        raise SourceError(" ".join(problems))
    return loads


def _load(settings: Settings, connection: Connection, *, sweeps: bool) -> ConnectionLoad:
    connector = connector_of(settings, connection)
    pipeline = pipeline_of(settings, connection.system, connection.name)
    return load_connection(pipeline, connector, load_options(settings, connection, sweeps=sweeps))


_RECONCILIATION = TableSchema(
    columns=[
        TableColumn(name, kind)
        for name, kind in {
            "connection": "string",
            "entity": "string",
            "reported": "string",
            "received": "int",
            "quarantined": "int",
            "raw": "int",
            "deleted": "int",
            "owners_pending": "int",
            "complete_up_to": "string",
            "as_of": "string",
            "missing": "string",
        }.items()
    ]
)


def _metadata(loads: list[ConnectionLoad]) -> Mapping[str, Mapping[str, MetadataValue]]:
    """Per table: what each connection's load says about it (R23)."""
    records: dict[str, list[TableRecord]] = {}
    for load in loads:
        for entity in load.entities:
            records.setdefault(entity.table, []).append(_record(load, entity))
    metadata: dict[str, dict[str, MetadataValue]] = {
        table: {"loads": MetadataValue.table(rows, schema=_RECONCILIATION)}
        for table, rows in records.items()
    }
    everything = [record for rows in records.values() for record in rows]
    problems = [f"{load.source_key}: {told}" for load in loads for told in load.problems]
    metadata["load_log"] = {
        "loads": MetadataValue.table(everything, schema=_RECONCILIATION),
        "missing": MetadataValue.md("\n".join(f"- {told}" for told in problems) or "nothing"),
    }
    return metadata


def _record(load: ConnectionLoad, entity: EntityLoad) -> TableRecord:
    reported = entity.rows_reported
    complete = entity.complete_up_to
    if complete is not None:
        # In the system's offset, like the cut beside it.
        complete = complete.astimezone(load.cut_at.tzinfo)
    return TableRecord(
        {
            "connection": load.source_key,
            "entity": entity.entity,
            "reported": "cannot be checked" if reported is None else str(reported),
            "received": entity.rows_received,
            "quarantined": entity.rows_quarantined,
            "raw": entity.rows_raw,
            "deleted": entity.rows_deleted,
            "owners_pending": entity.owners_pending,
            "complete_up_to": complete.isoformat(timespec="seconds") if complete else "never",
            "as_of": load.cut_at.isoformat(timespec="seconds"),
            "missing": entity.problem or "",
        }
    )
