"""The parsed dbt project, once per session."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from orchestration.manifest import dbt_executable
from orchestration.settings import PROJECT_DIR, Settings


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    settings = Settings(company="demo", data_root=tmp_path_factory.mktemp("manifest"))
    settings.make_folders()
    subprocess.run(
        [str(dbt_executable()), "--quiet", "parse"],
        cwd=PROJECT_DIR,
        env={**os.environ, **settings.dbt_environment()},
        check=True,
    )
    parsed: Mapping[str, Any] = json.loads((settings.dbt_target_dir / "manifest.json").read_text())
    return parsed
