"""Built once per session: the demo company, by the command a user would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.demo import EXCHANGE
from orchestration.settings import PROJECT_DIR, Settings
from sources.demo.store import PortalStore
from sources.demo.telephony.office import read_planted


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests share a process: those of a file, and all that read the demo warehouse."""
    of_demo = {item.path for item in items if "demo_run" in getattr(item, "fixturenames", ())}
    for item in items:
        if not item.get_closest_marker("scattered"):
            group = "demo" if item.path in of_demo else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))


@dataclass(frozen=True)
class DemoRun:
    """One finished `make demo`."""

    settings: Settings
    dagster_home: Path
    stdout: str
    stderr: str
    planted: Mapping[str, list[dict[str, Any]]]
    planted_in_exchange: Mapping[str, list[dict[str, Any]]]

    @property
    def store(self) -> Path:
        return self.settings.data_dir / "portal.sqlite"

    @property
    def exchange(self) -> Path:
        return self.settings.data_dir / EXCHANGE


def command_line(
    *arguments: str, data_root: Path, dagster_home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m orchestration …` as the Makefile does, with its own data and instance."""
    dagster_home.mkdir(parents=True, exist_ok=True)
    (dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return subprocess.run(
        [sys.executable, "-m", "orchestration", *arguments],
        cwd=PROJECT_DIR,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT_DIR),
            "DAGSTER_HOME": str(dagster_home),
            "CALLFUNNEL_DATA_ROOT": str(data_root),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


CANARY = "canary-0f6c1d7e5b"
"""The demo company's key of published hashes, which may be read nowhere."""


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    root = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CALLFUNNEL_PUBLISH_KEY", CANARY)
        finished = command_line("demo", data_root=root / "data", dagster_home=root / "home")
    assert finished.returncode == 0, finished.stderr[-4000:]
    settings = Settings(company="demo", data_root=root / "data")
    with PortalStore(settings.data_dir / "portal.sqlite", read_only=True) as store:
        planted = store.meta("planted")
    planted = json.loads(planted) if isinstance(planted, str) else planted
    of_exchange = read_planted(settings.data_dir / EXCHANGE)
    return DemoRun(settings, root / "home", finished.stdout, finished.stderr, planted, of_exchange)
