"""Where an account's secrets come from: dlt's providers, never the repository."""

from __future__ import annotations

from dataclasses import dataclass, field

from sources.credentials import SecretsOf
from sources.errors import SourceError
from sources.web import is_safe_address


@dataclass(frozen=True)
class LongLived:
    """An account behind a long-lived token.

    Attributes:
        account_url: `https://<subdomain>.amocrm.ru`.
        access_token: the token.
    """

    account_url: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class Application:
    """An account behind an OAuth application.

    Attributes:
        account_url: `https://<subdomain>.amocrm.ru`.
        client_id: the integration's id.
        client_secret: the integration's secret.
        redirect_uri: the integration's redirect address.
        refresh_token: the first one; None where `make authorise` has fetched it.
    """

    account_url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    refresh_token: str | None = field(default=None, repr=False)


_APPLICATION = ("client_id", "client_secret", "redirect_uri")


def account_credentials(company: str, connection: str) -> LongLived | Application:
    """The secrets of one connection: a long-lived token or an application's keys.

    Raises:
        SourceError: there are none, half of them, both kinds, or an unsafe account_url.
    """
    secrets = SecretsOf("amocrm", company, connection)
    names = ("account_url", "access_token", *_APPLICATION, "refresh_token")
    found = {name: secrets.get(name) for name in names}
    given = [name for name in names if found[name]]
    whose = f"Connection '{connection}' of company '{company}'"
    where = f"{secrets.section} in .dlt/secrets.toml"
    if not given or given == ["account_url"]:
        raise SourceError(
            f"{whose} has no secrets: put account_url and access_token (a long-lived token of a "
            f"private integration) under {where} (see .dlt/secrets.toml.example) or set "
            f"{secrets.variable('account_url')} and {secrets.variable('access_token')}."
        )
    if not is_safe_address(found["account_url"]):
        raise SourceError(
            f"{whose} has no account_url of the form https://<subdomain>.amocrm.ru (.amocrm.com, "
            f".kommo.com): put it under {where}. Plain http is only for this machine itself."
        )
    of_application = [name for name in given if name not in ("account_url", "access_token")]
    if found["access_token"] and of_application:
        raise SourceError(
            f"{whose} has both a long-lived token (access_token) and an application "
            f"({', '.join(of_application)}): keep one of the two under {where} and in the "
            f"environment ({secrets.variable('…')})."
        )
    if found["access_token"]:
        return LongLived(found["account_url"], found["access_token"])
    missing = [name for name in _APPLICATION if not found[name]]
    if missing:
        raise SourceError(
            f"{whose} has {', '.join(of_application)} but no {' and no '.join(missing)}: copy "
            f"them from the integration's card and put them under {where}."
        )
    return Application(
        found["account_url"],
        found["client_id"],
        found["client_secret"],
        found["redirect_uri"],
        found["refresh_token"] or None,
    )
