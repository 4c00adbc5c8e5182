"""Where a portal's secrets come from: dlt's providers, never the repository."""

from __future__ import annotations

from dataclasses import dataclass, field

from sources.bitrix24.oauth import TOKEN_URL
from sources.credentials import SecretsOf
from sources.errors import SourceError
from sources.web import is_safe_address


@dataclass(frozen=True)
class Webhook:
    """A portal behind an inbound webhook; the address is the secret."""

    url: str = field(repr=False)


@dataclass(frozen=True)
class Application:
    """A portal behind an application.

    Attributes:
        client_id: the application's key.
        client_secret: the application's secret.
        refresh_token: the first one; None where `make authorise` has fetched it.
        token_url: the authorisation server.
    """

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_url: str = TOKEN_URL


def portal_credentials(company: str, connection: str) -> Webhook | Application:
    """The secrets of one connection: a webhook's address or an application's keys.

    Raises:
        SourceError: there are none, half of them, both kinds, or an unsafe token_url.
    """
    names = ("webhook_url", "client_id", "client_secret", "refresh_token", "token_url")
    secrets = SecretsOf("bitrix24", company, connection)
    found = {name: secrets.get(name) for name in names}
    given = [name for name in names if found[name]]
    whose = f"Connection '{connection}' of company '{company}'"
    where = f"{secrets.section} in .dlt/secrets.toml"
    if not given:
        raise SourceError(
            f"{whose} has no secrets: put webhook_url, or client_id and client_secret of an "
            f"application, under {where} (see .dlt/secrets.toml.example) or set "
            f"{secrets.variable('webhook_url')}. The demo company needs neither "
            "when started with make demo or make dev."
        )
    if given == ["webhook_url"]:
        return Webhook(found["webhook_url"])
    if "webhook_url" in given:
        raise SourceError(
            f"{whose} has both a webhook (webhook_url) and an application "
            f"({', '.join(given[1:])}): keep one of the two under {where} and in the environment "
            f"({secrets.variable('…')})."
        )
    missing = [name for name in ("client_id", "client_secret") if not found[name]]
    if missing:
        raise SourceError(
            f"{whose} has {', '.join(given)} but no {' and no '.join(missing)}: copy both from "
            f"the application's card in the portal and put them under {where}."
        )
    token_url = found["token_url"] or TOKEN_URL
    if not is_safe_address(token_url):
        raise SourceError(
            f"The token_url of connection '{connection}' of company '{company}' is no https "
            f"address without user name and query: take it out of {where} ({TOKEN_URL} is taken "
            "then) or correct it. Plain http is only for this machine itself."
        )
    return Application(
        found["client_id"], found["client_secret"], found["refresh_token"] or None, token_url
    )
