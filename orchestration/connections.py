"""A company's connections, ready to be loaded: rules and secrets become connectors."""

from __future__ import annotations

import dlt

from orchestration.settings import Settings
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.credentials import Application, Webhook, portal_credentials
from sources.bitrix24.oauth import OAuth
from sources.company import read_company
from sources.company.rules import ConnectionSection
from sources.errors import InputError
from sources.loading import LoadOptions
from sources.pipelines import make_pipeline
from sources.tokens import TokenStore, token_file


def sections(settings: Settings) -> dict[str, ConnectionSection]:
    """The rules of the company's Bitrix24 connections by name."""
    return dict(read_company(settings.company_dir).rules.connections.get("bitrix24", {}))


def connector_of(settings: Settings, connection: str) -> Bitrix24Connector:
    """The portal of one connection, with its secrets.

    Raises:
        InputError: the company has no such connection.
        SourceError: it has no usable secrets.
    """
    known = sections(settings)
    if connection not in known:
        raise InputError(
            f"Company '{settings.company}' has no connection '{connection}'; company.toml names "
            f"{', '.join(known) or 'none'}."
        )
    found = portal_credentials(settings.company, connection)
    access = found.url if isinstance(found, Webhook) else oauth_of(settings, connection, found)
    section = known[connection]
    client = Bitrix24Client(
        access,
        connection,
        requests_per_second=section.requests_per_second,
        burst=section.request_burst,
    )
    return Bitrix24Connector(client, connection, section.smart_processes)


def oauth_of(settings: Settings, connection: str, application: Application) -> OAuth:
    """The authorisation of one connection's application; its tokens stand under the data."""
    return OAuth(
        application.client_id,
        application.client_secret,
        TokenStore(token_file(settings.data_dir, "bitrix24", connection)),
        application.refresh_token,
        application.token_url,
        connection,
    )


def portal_urls(settings: Settings) -> dict[str, str]:
    """Where links to cards lead, for connections whose rules don't say it."""
    return {
        connector.source_key: connector.client.portal_url
        for name, section in sections(settings).items()
        if not section.portal_url
        for connector in (connector_of(settings, name),)
    }


def pipeline_of(settings: Settings, system: str, connection: str) -> dlt.Pipeline:
    """The dlt pipeline of one connection, its folders made."""
    settings.make_folders()
    return make_pipeline(
        system,
        connection,
        warehouse=settings.warehouse,
        pipelines_dir=settings.pipelines_dir,
    )


def load_options(settings: Settings, connection: str, *, sweeps: bool) -> LoadOptions:
    """How a connection is loaded by the company's rules."""
    section = sections(settings)[connection]
    return LoadOptions(
        loss_threshold_share=section.loss_threshold_share,
        owners_per_load=section.owners_per_load,
        sweeps=sweeps,
        archive_dir=settings.archive_dir,
    )
