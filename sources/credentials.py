"""Where the secrets of a connection come from: dlt's providers, never the repository."""

from __future__ import annotations

from dataclasses import dataclass

from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext


@dataclass(frozen=True)
class SecretsOf:
    """The secrets of one connection of one company.

    Asked from dlt's providers directly: values that go through `dlt.secrets[…]` are kept in the
    pipeline's trace, which is written to disk.

    Attributes:
        system: the folder of the source.
        company: the company's key.
        connection: the connection's name in the company's rules.
    """

    system: str
    company: str
    connection: str

    def get(self, name: str) -> str:
        """The value of the first provider that has one; empty where none has."""
        for provider in Container()[PluggableRunContext].providers.providers:
            value, _ = provider.get_value(name, str, "", *self._sections)
            if value:
                return str(value).strip()
        return ""

    @property
    def section(self) -> str:
        """The section of `.dlt/secrets.toml`, in brackets."""
        return f"[{'.'.join(self._sections)}]"

    def variable(self, name: str) -> str:
        """The environment variable that holds one of them."""
        return "__".join((*self._sections, name)).upper()

    @property
    def _sections(self) -> tuple[str, ...]:
        return ("sources", self.system, self.company, self.connection)
