"""Running as a service: units, image and compose file are valid, closed, and name what exists."""

from __future__ import annotations

import configparser
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from dagster import DagsterInstance, job, op
from dagster_postgres import PostgresEventLogStorage

from orchestration.settings import PROJECT_DIR
from orchestration.upkeep.runs import forget_old_runs
from tests.support.install_servers import programs_of
from tests.support.servers import PASSWORD, postgresql

pytestmark = pytest.mark.scattered

DEPLOY = PROJECT_DIR / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALLED_IN = "/opt/callfunnel"
LOOPBACK = "127.0.0.1"
BIN = Path(sys.executable).parent


def checked(*command: str | Path) -> str:
    """What a checker says; it must be content."""
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, said
    return said


# systemd


def unit_here(unit: Path, folder: Path) -> Path:
    """The unit as if the project were installed where it is: its checker looks for programs."""
    text = unit.read_text().replace(f"{INSTALLED_IN}/.venv/bin", str(BIN))
    copied = folder / unit.name
    copied.write_text(text)
    return copied


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    (analyze,) = programs_of("systemd")
    assert [unit.stem for unit in UNITS] == ["callfunnel-daemon", "callfunnel-webserver"]
    here = [unit_here(unit, tmp_path) for unit in UNITS]
    assert checked(analyze, "verify", "--man=no", *here) == ""
    # 0 is closed, 10 is open; the rest is the network, which the systems are read over.
    for unit in here:
        checked(analyze, "security", "--offline=true", "--threshold=20", unit)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_as_its_own_user_and_writes_data_alone(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    service = parser["Service"]
    assert service["User"] == "callfunnel"
    assert service["Restart"] == "on-failure"
    assert service["ProtectSystem"] == "strict"
    assert service["WorkingDirectory"] == INSTALLED_IN
    writable = service["ReadWritePaths"].split()
    assert writable == [f"{INSTALLED_IN}/data", f"{INSTALLED_IN}/target"]
    words = service["ExecStart"].split()
    assert "workspace.yaml" in words
    if "dagster-webserver" in words[0]:
        assert words[words.index("--host") + 1] == LOOPBACK


# Containers

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and its text, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def test_hadolint_takes_the_dockerfile() -> None:
    assert checked(BIN / "hadolint", DOCKERFILE) == ""


def test_the_image_holds_what_the_lock_says_and_runs_as_nobody_special() -> None:
    said = instructions()
    copied = [
        source
        for kind, text in said
        if kind == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    ]
    assert {"uv.lock", "orchestration", "models", "deploy/postgresql"} <= set(copied)
    assert [source for source in copied if not (PROJECT_DIR / source).exists()] == []
    runs = " ".join(text for kind, text in said if kind == "RUN")
    locked = re.search(r"^UV_VERSION := (\S+)", (PROJECT_DIR / "Makefile").read_text(), re.M)
    assert locked is not None
    assert f"uv=={locked[1]}" in runs
    assert "uv sync --frozen" in runs
    kinds = [kind for kind, _ in said]
    assert dict(said)["USER"] == "10001:10001"
    assert kinds.index("USER") > max(n for n, kind in enumerate(kinds) if kind in {"RUN", "COPY"})
    assert "HEALTHCHECK" in kinds
    program = dict(said)["CMD"]
    assert (BIN / yaml.safe_load(program)[0]).exists()


def test_no_secret_and_no_data_reach_the_image() -> None:
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    kept_out_of_git = [".dlt/secrets.toml", "data", "deploy/docker/environment"]
    assert {*kept_out_of_git, "deploy/docker/postgresql.environment"} <= set(ignored)
    for name in ("deploy/docker/environment", "deploy/docker/postgresql.environment"):
        assert f"/{name}" in (PROJECT_DIR / ".gitignore").read_text().splitlines()
        # What nobody has filled in must not work.
        lines = (PROJECT_DIR / f"{name}.example").read_text().splitlines()
        assert [line for line in lines if "PASSWORD=" in line and not line.endswith("=")] == []


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    return read


def test_the_compose_file_fits_the_published_schema() -> None:
    checked(
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        DEPLOY / "docker" / "compose.yaml",
    )


def test_containers_are_reached_from_this_machine_alone() -> None:
    services = compose()["services"]
    assert services.keys() == {"postgresql", "webserver", "daemon"}
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published.keys() == {"webserver"}
    assert all(port.startswith(f"{LOOPBACK}:") for port in published["webserver"])
    assert services["postgresql"]["networks"] == ["inside"]
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("webserver", "daemon"):
        one = services[name]
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert (DEPLOY / "docker" / one["build"]["context"] / one["build"]["dockerfile"]).exists()
        for volume in one["volumes"]:
            source, target = volume.split(":")[:2]
            assert source in compose()["volumes"] or (DEPLOY / "docker" / source).exists()
            assert target.startswith(f"{INSTALLED_IN}/")
    # Whose password it is: the secrets of the systems are not PostgreSQL's business.
    assert services["postgresql"]["env_file"] == "postgresql.environment"


# Dagster's storage in PostgreSQL


def test_both_instances_differ_in_their_storage_alone() -> None:
    ours, served = (
        yaml.safe_load((folder / "dagster.yaml").read_text())
        for folder in (PROJECT_DIR, DEPLOY / "postgresql")
    )
    assert ours.pop("storage").keys() == {"sqlite"}
    assert served.pop("storage").keys() == {"postgres"}
    assert ours == served
    asked = set(re.findall(r"env: (\w+)", (DEPLOY / "postgresql" / "dagster.yaml").read_text()))
    for example in ("docker/postgresql.environment.example", "systemd/environment.example"):
        told = set(re.findall(r"^(?:# )?(\w+)=", (DEPLOY / example).read_text(), re.M))
        assert asked <= told, example


@op
def _step() -> None:
    print("said by a step")


@job(name="acme__daily_refresh")
def _daily() -> None:
    _step()


def test_a_job_runs_on_postgresql_and_its_old_runs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DEPLOY / "postgresql" / "dagster.yaml", tmp_path)
    # Paths in the file are relative to the working directory.
    monkeypatch.chdir(tmp_path)
    with postgresql() as server:
        server.execute("create database dagster", database="postgres")
        settings = {
            "POSTGRES_HOST": LOOPBACK,
            "POSTGRES_PORT": str(server.port),
            "POSTGRES_DB": "dagster",
            "POSTGRES_USER": server.user,
            "POSTGRES_PASSWORD": PASSWORD,
        }
        with (
            mock.patch.dict(os.environ, settings),
            DagsterInstance.from_config(str(tmp_path)) as instance,
        ):
            assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
            first, second = (_daily.execute_in_process(instance=instance) for _ in range(2))
            assert first.success
            assert instance.all_logs(first.run_id)
            logs = tmp_path / "data/.dagster/compute_logs"
            assert (logs / first.run_id).exists()
            now = dt.datetime.now(dt.UTC)
            assert forget_old_runs(instance, "acme", ["acme__daily_refresh"], now) == 1
            assert [run.run_id for run in instance.get_runs()] == [second.run_id]
            assert not instance.all_logs(first.run_id)
            assert instance.all_logs(second.run_id)
            assert not (logs / first.run_id).exists()
