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
from tests.conftest import DemoRun
from tests.reference.reports import Facts
from tests.support.demo_facts import Ask, asking, facts_of


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


@pytest.fixture(scope="session")
def ask(demo_run: DemoRun) -> Ask:
    """Rows of the demo warehouse as dictionaries."""
    return asking(demo_run.settings)


@pytest.fixture(scope="session")
def facts(ask: Ask) -> Facts:
    """All that references of reports read of the demo warehouse."""
    return facts_of(ask)
