"""Where a portal's webhook address comes from: dlt's secrets, never the repository."""

from __future__ import annotations

from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from sources.errors import SourceError


def webhook_url(company: str, connection: str) -> str:
    """The webhook address of one connection, from `.dlt/secrets.toml` or the environment.

    Asked from dlt's providers directly: values that go through `dlt.secrets[…]` are kept in the
    pipeline's trace, which is written to disk.

    Raises:
        SourceError: nobody has set it; the message says how.
    """
    sections = ("sources", "bitrix24", company, connection)
    for provider in Container()[PluggableRunContext].providers.providers:
        value, _ = provider.get_value("webhook_url", str, "", *sections)
        if value:
            return str(value)
    variable = "__".join((*sections, "webhook_url")).upper()
    raise SourceError(
        f"Connection '{connection}' of company '{company}' has no webhook address: put webhook_url "
        f"under [sources.bitrix24.{company}.{connection}] in .dlt/secrets.toml (see "
        f".dlt/secrets.toml.example) or set {variable}. The demo company needs neither when "
        "started with make demo or make dev."
    )
