"""A company's connections, ready to be loaded: rules and secrets become connectors."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import dlt

from orchestration.settings import Settings
from orchestration.systems import RAW_SCHEMAS
from sources.absent import make_raw_tables
from sources.amocrm import AmoClient, AmoConnector, AmoOAuth, LongLivedToken
from sources.amocrm.credentials import Application as AmoApplication
from sources.amocrm.credentials import account_credentials
from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
from sources.bitrix24.credentials import Application, portal_credentials
from sources.bitrix24.oauth import OAuth
from sources.company import read_company
from sources.company.rules import (
    AmocrmSection,
    Bitrix24Section,
    Connection,
    CrmConnection,
    CrmSection,
    PbxConnection,
)
from sources.connection import Connector, raw_schema
from sources.credentials import SecretsOf
from sources.errors import InputError
from sources.loading import LoadOptions
from sources.oauth import RotatingOAuth
from sources.pipelines import make_pipeline
from sources.telephony import PbxAccess, PbxConnector
from sources.telephony.providers import open_reader
from sources.telephony.windows import Windows
from sources.tokens import TokenStore, token_file

CrmConnector = Bitrix24Connector | AmoConnector


def connections_of(settings: Settings, schema: str | None = None) -> tuple[Connection, ...]:
    """The company's connections; those of one raw schema (e.g. `raw_telephony`), or all."""
    rules = read_company(settings.company_dir).rules
    return tuple(
        found
        for found in rules.all_connections()
        if schema is None or raw_schema(found.system) == schema
    )


def find_connection(settings: Settings, text: str) -> Connection:
    """A connection by its name, or by `<system>:<name>` where several systems have that name.

    Raises:
        InputError: the company has no such connection, or several.
    """
    known = connections_of(settings)
    found = [one for one in known if text in (one.name, one.source_key)]
    if len(found) > 1:
        raise InputError(
            f"Company '{settings.company}' has several connections '{text}': say "
            f"{' or '.join(one.source_key for one in found)}."
        )
    if not found:
        raise InputError(
            f"Company '{settings.company}' has no connection '{text}'; company.toml names "
            f"{', '.join(one.source_key for one in known) or 'none'}."
        )
    return found[0]


def connector_of(settings: Settings, connection: Connection) -> Connector:
    """The account of one connection, with its secrets.

    Raises:
        SourceError: it has no usable secrets.
    """
    if isinstance(connection, CrmConnection):
        return crm_connector_of(settings, connection)
    return _pbx_connector_of(settings, connection)


def _pbx_connector_of(settings: Settings, connection: PbxConnection) -> PbxConnector:
    system, name, section = connection
    company = read_company(settings.company_dir).rules.company
    zone = ZoneInfo(section.time_zone or company.time_zone)
    secrets = SecretsOf(system, settings.company, name)
    reader = open_reader(system, PbxAccess(name, section, zone, secrets, settings.data_dir))
    first = section.first_day
    windows = Windows(
        dt.datetime.combine(first, dt.time(), zone) if first else None,
        dt.timedelta(days=section.trailing_days),
    )
    return PbxConnector(reader, system, name, windows)


def crm_connector_of(settings: Settings, connection: CrmConnection) -> CrmConnector:
    """The account of one CRM connection, with its secrets.

    Raises:
        SourceError: it has no usable secrets.
    """
    name, section = connection.name, connection.section
    if isinstance(section, AmocrmSection):
        account = account_credentials(settings.company, name)
        access = (
            _amocrm_oauth(settings, name, account)
            if isinstance(account, AmoApplication)
            else LongLivedToken(account.account_url, account.access_token)
        )
        rate = section.requests_per_second
        return AmoConnector(AmoClient(access, name, requests_per_second=rate), name)
    assert isinstance(section, Bitrix24Section)
    portal = portal_credentials(settings.company, name)
    client = Bitrix24Client(
        _bitrix24_oauth(settings, name, portal) if isinstance(portal, Application) else portal.url,
        name,
        requests_per_second=section.requests_per_second,
        burst=section.request_burst,
    )
    return Bitrix24Connector(client, name, section.smart_processes)


def oauth_of(settings: Settings, connection: Connection) -> RotatingOAuth:
    """The authorisation of one connection's application; its tokens stand under the data.

    Raises:
        InputError: the connection uses no application.
        SourceError: it has no usable secrets.
    """
    if isinstance(connection, PbxConnection):
        raise InputError(
            f"Connection '{connection.name}' is a telephony, which needs no authorisation."
        )
    if connection.system == "amocrm":
        account = account_credentials(settings.company, connection.name)
        if isinstance(account, AmoApplication):
            return _amocrm_oauth(settings, connection.name, account)
        uses, keys = "a long-lived token", "client_id, client_secret and redirect_uri"
        instead = "access_token"
    else:
        portal = portal_credentials(settings.company, connection.name)
        if isinstance(portal, Application):
            return _bitrix24_oauth(settings, connection.name, portal)
        uses, keys, instead = "a webhook", "client_id and client_secret", "webhook_url"
    raise InputError(
        f"Connection '{connection.name}' uses {uses}, which needs no authorisation: put {keys} "
        f"into the secrets instead of {instead} first."
    )


def _bitrix24_oauth(settings: Settings, name: str, application: Application) -> OAuth:
    return OAuth(
        application.client_id,
        application.client_secret,
        TokenStore(token_file(settings.data_dir, "bitrix24", name)),
        application.refresh_token,
        application.token_url,
        name,
    )


def _amocrm_oauth(settings: Settings, name: str, application: AmoApplication) -> AmoOAuth:
    return AmoOAuth(
        application.account_url,
        application.client_id,
        application.client_secret,
        application.redirect_uri,
        TokenStore(token_file(settings.data_dir, "amocrm", name)),
        application.refresh_token,
        name,
    )


def portal_urls(settings: Settings) -> dict[str, str]:
    """Where links to cards lead, for connections whose rules don't say it."""
    return {
        found.source_key: crm_connector_of(settings, found).client.portal_url
        for found in read_company(settings.company_dir).rules.crm_connections()
        if not found.section.portal_url
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


def load_options(settings: Settings, connection: Connection, *, sweeps: bool) -> LoadOptions:
    """How a connection is loaded by the company's rules."""
    section = connection.section
    options = LoadOptions(sweeps=sweeps, archive_dir=settings.archive_dir)
    if isinstance(section, CrmSection):
        options = replace(options, loss_threshold_share=section.loss_threshold_share)
    if isinstance(section, Bitrix24Section):
        options = replace(options, owners_per_load=section.owners_per_load)
    return options


def make_absent_tables(settings: Settings, schema: str) -> None:
    """The empty raw tables of a schema that are not there, so that every model builds.

    Where the company had the system once, they are there with what they hold, and stay.
    """
    raw = RAW_SCHEMAS[schema]
    name = schema.removeprefix("raw_")
    make_raw_tables(
        pipeline_of(settings, name, "none"),
        name,
        raw.received.values(),
        raw.versioned,
        raw.kept,
    )
