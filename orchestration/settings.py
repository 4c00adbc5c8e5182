"""The one place that reads configuration: which company, where its files stand, how much memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parents[1]
LARGE_WAREHOUSE_BYTES = 2 * 1024**3
"""From here on dbt builds its models one after the other."""


class Settings(BaseSettings):
    """Where one company's rules and data stand.

    Read from the environment (`CALLFUNNEL_COMPANY`, `CALLFUNNEL_DATA_ROOT`, …); `company` there is
    only the default of make and the command line: Dagster names its companies in workspace.yaml.
    """

    model_config = SettingsConfigDict(
        env_prefix="CALLFUNNEL_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    company: str = "demo"
    companies_dir: Path = PROJECT_DIR / "companies"
    data_root: Path = Field(default=PROJECT_DIR / "data", description="data/<company>/ below it")
    memory_limit: str = Field(default="3GB", description="DuckDB's limit, e.g. 3GB")
    threads: int = Field(default=2, ge=1, description="dbt's and DuckDB's threads")
    lock_timeout_seconds: float = Field(
        default=10.0, ge=0, description="how long a writer waits for another one"
    )
    alert_urls: SecretStr = Field(
        default=SecretStr(""), description="Apprise URLs that hear of every company's troubles"
    )
    company_alert_urls: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="further ones by company: COMPANY_ALERT_URLS__<COMPANY>"
    )
    revision: str = Field(
        default="", description="of the code, where there is no git to ask: in a container"
    )
    publish_postgres: SecretStr = Field(
        default=SecretStr(""), description="address of the PostgreSQL database that BI reads"
    )
    company_publish_postgres: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="instead of it, by company: COMPANY_PUBLISH_POSTGRES__<COMPANY>",
    )
    publish_key: SecretStr = Field(
        default=SecretStr(""), description="key of published hashes; else made once and kept"
    )
    company_publish_key: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="instead of it, by company: COMPANY_PUBLISH_KEY__<COMPANY>",
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="where people open the Dagster UI"
    )

    def for_company(self, company: str) -> Settings:
        """The same settings for another company."""
        return self.model_copy(update={"company": company})

    @property
    def alert_text(self) -> SecretStr:
        """All Apprise URLs of the company's alerts, in one text."""
        own = self.company_alert_urls.get(self.company, SecretStr(""))
        return SecretStr(f"{self.alert_urls.get_secret_value()} {own.get_secret_value()}".strip())

    @property
    def postgres_address(self) -> SecretStr:
        """Where the company's marts are published besides the files; empty: nowhere."""
        return self.company_publish_postgres.get(self.company, self.publish_postgres)

    @property
    def hash_key(self) -> SecretStr:
        """The key of published hashes; empty: the one kept in `hash_key_file`."""
        return self.company_publish_key.get(self.company, self.publish_key)

    @property
    def hash_key_file(self) -> Path:
        """The key of published hashes, made by the first publication."""
        return self.state_dir / "publishing.key"

    @property
    def company_dir(self) -> Path:
        """The company's rules."""
        return self.companies_dir / self.company

    @property
    def data_dir(self) -> Path:
        """Everything the company's runs produce."""
        return self.data_root / self.company

    @property
    def warehouse(self) -> Path:
        """The DuckDB file: raw, staging, marts."""
        return self.data_dir / "warehouse.duckdb"

    @property
    def pipelines_dir(self) -> Path:
        """Dlt's state, one folder per connection."""
        return self.data_dir / "dlt"

    @property
    def dbt_target_dir(self) -> Path:
        """Dbt's artifacts: manifest.json, run_results.json."""
        return self.data_dir / "dbt"

    @property
    def state_dir(self) -> Path:
        """The last complete build's manifest, for `--state`; the size of the last compaction."""
        return self.data_dir / "state"

    @property
    def temp_dir(self) -> Path:
        """DuckDB's spill files."""
        return self.data_dir / "tmp"

    @property
    def archive_dir(self) -> Path:
        """What the systems forget, as parquet; `make restore` builds a warehouse from it."""
        return self.data_dir / "archive"

    @property
    def published_dir(self) -> Path:
        """Generations of published marts; `current` is a symlink to the newest."""
        return self.data_dir / "published"

    @property
    def lock_file(self) -> Path:
        """Held by whoever writes the warehouse."""
        return self.data_dir / "warehouse.lock"

    @property
    def models_at_once(self) -> int:
        """How many models dbt builds side by side: one where the warehouse is large.

        DuckDB does not share its memory out between queries: of two large ones either may find none
        left to spill with. Alone each has all of it, and all threads.
        """
        large = self.warehouse.exists() and self.warehouse.stat().st_size > LARGE_WAREHOUSE_BYTES
        return 1 if large else self.threads

    def dbt_environment(self) -> Mapping[str, str]:
        """What profiles.yml reads, so that every dbt call works on this company's warehouse."""
        return {
            "CALLFUNNEL_WAREHOUSE": str(self.warehouse),
            "CALLFUNNEL_TEMP_DIR": str(self.temp_dir),
            "CALLFUNNEL_MEMORY_LIMIT": self.memory_limit,
            "CALLFUNNEL_THREADS": str(self.threads),
            "CALLFUNNEL_MODELS_AT_ONCE": str(self.models_at_once),
            "DBT_TARGET_PATH": str(self.dbt_target_dir),
            "DBT_LOG_PATH": str(self.dbt_target_dir),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            # Unit tests look at our code, not at a company's data.
            "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
        }

    def make_folders(self) -> None:
        """Create the company's folders, readable by owner and group only."""
        os.umask(0o027)
        for folder in (self.data_dir, self.temp_dir, self.dbt_target_dir, self.pipelines_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)


def read_settings() -> Settings:
    """Settings from the environment."""
    return Settings()
