"""Loading: the company's rules, its portals, and phone numbers in E.164."""

import logging
from collections.abc import Callable, Iterator, Mapping

import dlt
from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
    asset,
    multi_asset,
)

from orchestration.failures import readable_failures
from orchestration.progress import relayed_to
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from sources.bitrix24 import TABLES, Bitrix24Client, Bitrix24Connector
from sources.bitrix24.credentials import webhook_url
from sources.company import SCHEMAS, read_company
from sources.derived.phone_numbers import add_phone_numbers
from sources.loading import ConnectionLoad, load_connection, load_rules, make_pipeline

LOAD_TABLES = ("load_log", "deleted_records", "quarantine")
ConnectorFactory = Callable[[str, str], Bitrix24Connector]


def connector_of(company: str, connection: str) -> Bitrix24Connector:
    """The Bitrix24 portal of one connection, with its webhook from dlt's secrets."""
    return Bitrix24Connector(
        Bitrix24Client(webhook_url(company, connection), connection), connection
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
            urls = {
                connector.source_key: connector.client.portal_url
                for connector in _connectors(settings)
            }
            load_rules(_pipeline(settings, "company", "rules"), rules, urls)
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
                description=f"Bitrix24 {table.replace('_', ' ')}, as received.",
            )
            for table in (*TABLES, *LOAD_TABLES)
        ],
        pool=pool,
    )
    def load_bitrix24(
        context: AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[MaterializeResult[None]]:
        loads: list[ConnectionLoad] = []
        with readable_failures(), relayed_to(context.log):
            sections = read_company(settings.company_dir).rules.connections["bitrix24"]
            for connector in _connectors(settings):
                pipeline = _pipeline(settings, connector.system, connector.connection)
                share = sections[connector.connection].loss_threshold_share
                loads.append(load_connection(pipeline, connector, share))
        metadata = _metadata(loads)
        for table in (*TABLES, *LOAD_TABLES):
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


def _connectors(settings: Settings) -> Iterator[Bitrix24Connector]:
    rules = read_company(settings.company_dir).rules
    for connection in rules.connections.get("bitrix24", {}):
        yield connector_of(settings.company, connection)


def _pipeline(settings: Settings, system: str, connection: str) -> dlt.Pipeline:
    settings.make_folders()
    return make_pipeline(
        system,
        connection,
        warehouse=settings.warehouse,
        pipelines_dir=settings.pipelines_dir,
    )


def _metadata(loads: list[ConnectionLoad]) -> Mapping[str, Mapping[str, MetadataValue]]:
    """Per table: received and held rows, and what each connection's load says about them."""
    schema = TableSchema(
        columns=[
            TableColumn(name, kind)
            for name, kind in {
                "connection": "string",
                "reported": "int",
                "received": "int",
                "quarantined": "int",
                "raw": "int",
                "deleted": "int",
                "as_of": "string",
            }.items()
        ]
    )
    records: dict[str, list[TableRecord]] = {}
    held: dict[str, int] = {}
    for load in loads:
        for entity in load.entities:
            held[entity.entity] = held.get(entity.entity, 0) + entity.rows_raw
            records.setdefault(entity.entity, []).append(
                TableRecord(
                    {
                        "connection": load.source_key,
                        "reported": -1 if entity.rows_reported is None else entity.rows_reported,
                        "received": entity.rows_received,
                        "quarantined": entity.rows_quarantined,
                        "raw": entity.rows_raw,
                        "deleted": entity.rows_deleted,
                        "as_of": load.cut_at.isoformat(timespec="seconds"),
                    }
                )
            )
    return {
        table: {
            "dagster/row_count": MetadataValue.int(held[table]),
            "loads": MetadataValue.table(rows, schema=schema),
        }
        for table, rows in records.items()
    }
