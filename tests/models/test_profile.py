"""profiles.yml: how dbt opens a warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.environments.local import LocalEnvironment

from orchestration.settings import PROJECT_DIR, Settings

SPILLS = """
create table sorted as
select number, md5(number::varchar) as text from range(1500000) as numbers(number) order by text
"""


def test_models_are_built_after_one_that_has_spilled_to_disk(tmp_path: Path) -> None:
    settings = Settings(company="shop", data_root=tmp_path, memory_limit="60MB")
    settings.make_folders()
    environment = LocalEnvironment(_credentials(settings))
    environment.handle().cursor().execute(SPILLS)
    # dbt opens a cursor, and says the profile's settings, for every model.
    cursor = environment.handle().cursor()
    names = ("temp_directory", "memory_limit", "TimeZone")
    found = [cursor.execute(f"select current_setting('{name}')").fetchone()[0] for name in names]
    assert found == [str(settings.temp_dir), "57.2 MiB", "UTC"]
    environment.close()


def _credentials(settings: Settings) -> DuckDBCredentials:
    given = settings.dbt_environment()

    def env_var(name: str, default: str) -> Any:
        return given.get(name, default)

    text = (PROJECT_DIR / "profiles.yml").read_text(encoding="utf-8")
    profile = yaml.safe_load(jinja2.Template(text).render(env_var=env_var))
    output = profile["callfunnel"]["outputs"]["warehouse"]
    names = ("path", "schema", "config_options", "settings", "module_paths")
    return DuckDBCredentials.from_dict(
        {"database": settings.warehouse.stem, **{n: output[n] for n in names if n in output}}
    )
