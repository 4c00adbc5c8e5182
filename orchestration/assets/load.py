"""Loading: the company's rules, its portals, and phone numbers in E.164."""

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
    connector_of,
    load_options,
    pipeline_of,
    portal_urls,
    sections,
)
from orchestration.failures import readable_failures
from orchestration.progress import relayed_to
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from sources.bitrix24 import TABLES
from sources.bitrix24.history import VERSIONED
from sources.bookkeeping import EntityLoad
from sources.company import SCHEMAS, read_company
from sources.derived.phone_numbers import add_phone_numbers
from sources.errors import CallfunnelError, SourceError
from sources.loading import ConnectionLoad, load_connection, load_rules

LOAD_TABLES = ("load_log", "deleted_records", "quarantine", "detail_reads")
VERSION_TABLES = tuple(table.versions for table in VERSIONED)


class LoadConfig(Config):
    """How this run loads; the daily run takes the defaults."""

    sweep: bool = Field(
        default=False,
        description="Compare the ids of all records with the portal's one by one: what is missing "
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
        for table in SCHEMAS:
            yield MaterializeResult(asset_key=AssetKey([company, "raw_company", table]))

    @multi_asset(
        name=f"{company}__load_bitrix24",
        specs=[
            AssetSpec(
                AssetKey([company, "raw_bitrix24", table]),
                group_name="raw",
                kinds={"dlt", "duckdb"},
                description=f"Bitrix24 {table.replace('_', ' ')}, {_what(table)}.",
            )
            for table in _BITRIX24_TABLES
        ],
        pool=pool,
    )
    def load_bitrix24(
        context: AssetExecutionContext, warehouse: Warehouse, config: LoadConfig
    ) -> Iterator[MaterializeResult[None]]:
        loads: list[ConnectionLoad] = []
        problems: list[str] = []
        done: dict[str, MetadataValue] = {}
        with readable_failures(done), relayed_to(context.log):
            for connection in sections(settings):
                # A portal that can't be read must not keep the others from being loaded.
                try:
                    loads.append(_load(settings, connection, sweeps=config.sweep))
                except CallfunnelError as error:
                    problems.append(str(error))
            if problems:
                # What the other connections loaded is told all the same.
                done.update(_metadata(loads)["load_log"])
                raise SourceError(" ".join(problems))
        metadata = _metadata(loads)
        for table in _BITRIX24_TABLES:
            yield MaterializeResult(
                asset_key=AssetKey([company, "raw_bitrix24", table]),
                metadata=metadata.get(table, {}),
            )

    @asset(
        key=AssetKey([company, "raw_derived", "phone_numbers"]),
        deps=[
            AssetKey([company, "raw_bitrix24", "calls"]),
            AssetKey([company, "raw_bitrix24", "contacts"]),
        ],
        group_name="raw",
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
        context.log.info(f"phone numbers: {added:,} new")
        return MaterializeResult(metadata={"new": added})

    return [load_company_rules, load_bitrix24, phone_numbers]


_BITRIX24_TABLES = (*TABLES, *VERSION_TABLES, *LOAD_TABLES)


def _what(table: str) -> str:
    return "kept by the loads" if table in (*VERSION_TABLES, *LOAD_TABLES) else "as received"


def _load(settings: Settings, connection: str, *, sweeps: bool) -> ConnectionLoad:
    connector = connector_of(settings, connection)
    pipeline = pipeline_of(settings, connector.system, connection)
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
    """Per table: rows held, and what each connection's load says about them (R23)."""
    records: dict[str, list[TableRecord]] = {}
    held: dict[str, int] = {}
    for load in loads:
        for entity in load.entities:
            held[entity.table] = held.get(entity.table, 0) + entity.rows_raw
            records.setdefault(entity.table, []).append(_record(load, entity))
    metadata: dict[str, dict[str, MetadataValue]] = {
        table: {
            "dagster/row_count": MetadataValue.int(held[table]),
            "loads": MetadataValue.table(rows, schema=_RECONCILIATION),
        }
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
        # In the portal's offset, like the cut beside it.
        complete = complete.astimezone(load.cut_at.tzinfo)
    return TableRecord(
        {
            "connection": load.source_key,
            "entity": entity.entity,
            "reported": "not counted" if reported is None else str(reported),
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
