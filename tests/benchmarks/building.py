"""What the benchmarks of dbt share: one run of it, and how what it took grows with the size.

Not in `measuring`: that is imported by processes whose memory is measured, and settings take 13 MB.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from orchestration.manifest import dbt_executable
from orchestration.settings import PROJECT_DIR, Settings
from sources.demo.store import PortalStore

MEMORY_LIMIT = "3GB"
"""DuckDB's, in all processes that write, build or read a warehouse."""


@dataclass(frozen=True)
class Build:
    """One run of dbt.

    Attributes:
        cpu_seconds: of the process.
        peak_mb: of the process.
        models: wall seconds by model or seed; dbt's hooks stand under their names.
        said: what dbt has printed.
    """

    cpu_seconds: float
    peak_mb: float
    models: Mapping[str, float]
    said: str


def write_users(store: PortalStore, count: int) -> None:
    """Users up to that number, each with an extension of their own; the portal has the first."""
    store.insert(
        "user",
        [
            {
                "ID": number,
                "ACTIVE": 1,
                "NAME": "Anna",
                "LAST_NAME": f"Test {number}",
                "USER_TYPE": "employee",
                "UF_PHONE_INNER": str(100 + number),
            }
            for number in range(2, count + 1)
        ],
    )


def settings_of(root: Path) -> Settings:
    """Settings of the one company in a folder."""
    return Settings(company="testco", companies_dir=root / "companies", data_root=root / "data")


def run_dbt(settings: Settings, *words: str) -> Build:
    """Run dbt on the company's warehouse, in a process of its own.

    Raises:
        RuntimeError: dbt has failed; its last words follow.
    """
    environment = {
        **os.environ,
        **settings.dbt_environment(),
        "CALLFUNNEL_MEMORY_LIMIT": MEMORY_LIMIT,
    }
    log = settings.data_dir / "dbt.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(dbt_executable()), *words],
            cwd=PROJECT_DIR,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text()
    if process.returncode:
        raise RuntimeError(said[-3000:])
    results = json.loads((settings.dbt_target_dir / "run_results.json").read_text())["results"]
    return Build(
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        {one["unique_id"].split(".")[-1]: one["execution_time"] for one in results},
        said,
    )


def peak_mb() -> float:
    """The most memory that this process has had."""
    # Not ru_maxrss: that is at least what the process had that has started this one.
    (told,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(told) / 1024


def exponent(values: Sequence[float], sizes: tuple[int, int]) -> float:
    """With which power of the size a value grows: log(v2 / v1) ÷ log(n2 / n1)."""
    few, many = values
    return math.log(many / few) / math.log(sizes[1] / sizes[0])


def add_row(table: Table, name: str, values: Sequence[float], sizes: tuple[int, int]) -> None:
    """A value at both sizes, its ratio and its exponent."""
    few, many = values
    ratio = f"{many / few:.1f}" if few else ""
    power = f"{exponent(values, sizes):.2f}" if few and many else ""
    table.add_row(name, f"{few:,.2f}", f"{many:,.2f}", ratio, power)


def dearest(build: Build, count: int = 12) -> list[str]:
    """The models that took longest."""
    return sorted(build.models, key=lambda model: -build.models[model])[:count]
