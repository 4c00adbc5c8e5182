"""`make bench-transform`: how the transformation scales, from a CRM's raw tables to marts.

Of a company that works in Bitrix24 alone, at two sizes, a tenth and the whole:

1. the full build of everything up to the marts, and of the metrics apart;
2. in the same run, as a yardstick, DuckDB sorting the finished `fct_calls` into a new table;
3. the attribution of calls to cards alone;
4. the build after the next day's load, and after one that brings nothing but late history;
5. beside it pandas, which attributes calls to open deals only.

CPU seconds and peak memory of processes of their own. What is held against bounds is the engine's
share: less what the same build takes with hardly any rows, which is dbt's own work on some 300
models. A bound that is broken makes the exit code 1.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import duckdb
import pandas as pd
import typer
from rich.table import Table

from orchestration.settings import Settings
from tests.benchmarks.building import (
    MEMORY_LIMIT,
    Build,
    add_row,
    dearest,
    exponent,
    peak_mb,
    run_dbt,
    settings_of,
)
from tests.benchmarks.measuring import Bound, console, print_bounds
from tests.benchmarks.three_years import write_company, write_day, write_late_history
from tests.support.companies import WITHOUT_TESTS

FULL_BOUND = 20.0
"""Times the CPU that sorting and writing the finished `fct_calls` takes."""
ATTRIBUTION_BOUND = 8.0
DAY_BOUND, LATE_BOUND = 0.05, 0.07
"""Shares of the full build's CPU, each less what it takes with hardly any rows."""
EXPONENT_BOUND = 1.1
PEAK_BOUND_MB = 4096.0
HARDLY_ANY = 100
ATTRIBUTION = (
    "int_bitrix24__call_bindings",
    "int_call_bindings",
    "int_call_clients",
    "int_calls_with_client",
    "int_calls_bound_to_cards",
    "int_calls_matched_by_client",
    "int_calls_matched_to_cards",
)
METRICS = "path:models/metrics"
A_VIEW = "stg_company__rules"
"""Selected alone it costs what dbt itself does."""

app = typer.Typer(help=__doc__, add_completion=False)


class Load(StrEnum):
    """What a load brings."""

    company = "company"
    day = "day"
    late_history = "late-history"


@dataclass(frozen=True)
class Process:
    """One run of something else than dbt.

    Attributes:
        cpu_seconds: of the process.
        peak_mb: of the process.
        told: whatever it has told.
    """

    cpu_seconds: float
    peak_mb: float
    told: str = ""


@dataclass(frozen=True)
class Company:
    """What one size took.

    Attributes:
        full: the build of everything.
        day: the build after the next day's load.
        late: the build after a load of late history.
        metrics: their build, alone.
        attribution: the models of the attribution, alone.
        attribution_cpu_seconds: of them, less dbt itself; the median.
        yardstick: the sort of `fct_calls`; the median.
    """

    full: Build
    day: Build
    late: Build
    metrics: Build
    attribution: Build
    attribution_cpu_seconds: float
    yardstick: Process


Run = TypeVar("Run", Build, Process)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    deals: Annotated[int, typer.Option(help="Of the larger company; ten calls each")] = 1_000_000,
    runs: Annotated[int, typer.Option(help="Runs of the attribution and of the yardstick")] = 3,
    folder: Annotated[Path | None, typer.Option(help="For warehouses; 20 GB a million")] = None,
    keep: Annotated[bool, typer.Option(help="Leave the warehouses in the folder")] = False,
) -> None:
    """Measure and print; see the module's first lines."""
    if context.invoked_subcommand:
        return
    sizes = (deals // 10, deals)
    with contextlib.ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="bench-transform-", dir=folder))
        if not keep:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        console.print(f"warehouses: {root}")
        base = _measure(root / "base", HARDLY_ANY, 1)
        small = _measure(root / "small", sizes[0], runs)
        bare = _process("bare", root / "small")
        large = _measure(root / "large", sizes[1], runs)
    held = _compare(base, (small, large), sizes)
    _print_dearest("full build", [small.full, large.full], sizes)
    _print_dearest("build after a day", [small.day, large.day], sizes)
    _print_dearest("build after late history", [small.late, large.late], sizes)
    console.print(
        f"pandas, calls of {sizes[0]:,} deals to open deals only: {bare.cpu_seconds:.1f} CPU s, "
        f"peak {bare.peak_mb:,.0f} MB ({bare.told}); the models, all methods: "
        f"{small.attribution_cpu_seconds:.1f} CPU s, peak {small.attribution.peak_mb:,.0f} MB"
    )
    if not print_bounds(held):
        raise typer.Exit(1)


@app.command("write", hidden=True)
def write_command(load: Load, root: Path, deals: int) -> None:
    """Write what a load brings: in a process of its own, for its memory."""
    settings = settings_of(root)
    if load == Load.company:
        write_company(settings, deals)
    elif load == Load.day:
        write_day(settings, deals)
    else:
        write_late_history(settings)


@app.command("yardstick", hidden=True)
def yardstick_command(root: Path) -> None:
    """Sort the finished calls into a table of a new database and print what it took."""
    with _reading(settings_of(root)) as connection, tempfile.TemporaryDirectory(dir=root) as folder:
        connection.execute(f"attach '{folder}/sorted.duckdb' as sorted")
        began = time.process_time()
        connection.execute(
            "create table sorted.calls as "
            "select * from warehouse.marts.fct_calls order by started_at, call_key"
        )
        connection.execute("checkpoint sorted")
        _tell(time.process_time() - began)


@app.command("bare", hidden=True)
def bare_command(root: Path) -> None:
    """Attribute the calls of a built warehouse in pandas and print what it took."""
    with _reading(settings_of(root)) as connection:
        began = time.process_time()
        found = _attribute_bare(connection)
        cpu_seconds = time.process_time() - began
        connection.register("found", found)
        row = connection.execute(
            """
            select count(*) filter (where found.card_key = models.card_key), count(*)
            from found
            full outer join (
                from warehouse.intermediate.int_calls_matched_to_cards
                where match_method in ('bound_deal', 'only_open_deal', 'chosen_open_deal')
            ) as models
                on found.call_key = models.call_key and found.match_method = models.match_method
            """
        ).fetchone()
        assert row is not None
        _tell(cpu_seconds, f"{row[0]:,} of {row[1]:,} as the models say")


def _tell(cpu_seconds: float, told: str = "") -> None:
    print(json.dumps({"cpu_seconds": cpu_seconds, "peak_mb": peak_mb(), "told": told}))


def _measure(root: Path, deals: int, runs: int) -> Company:
    """Everything at one size, in the order in which it can be done on one warehouse."""
    settings = settings_of(root)
    full = _loaded_and_built(root, Load.company, deals)
    day = _loaded_and_built(root, Load.day, deals)
    late = _loaded_and_built(root, Load.late_history, deals)
    # Building a selection ends that builds are incremental, so it comes last.
    metrics = run_dbt(settings, "run", "--select", METRICS)
    alone = [run_dbt(settings, "run", "--select", A_VIEW) for _ in range(runs)]
    attributions = [run_dbt(settings, "run", "--select", *ATTRIBUTION) for _ in range(runs)]
    yardsticks = [_process("yardstick", root) for _ in range(runs)]
    itself = statistics.median(build.cpu_seconds for build in alone)
    return Company(
        full,
        day,
        late,
        metrics,
        _middle(attributions),
        _middle(attributions).cpu_seconds - itself,
        _middle(yardsticks),
    )


def _loaded_and_built(root: Path, load: Load, deals: int) -> Build:
    began = time.monotonic()
    _run("write", load.value, str(root), str(deals))
    written = time.monotonic()
    build = run_dbt(settings_of(root), "build", "--exclude", METRICS, *WITHOUT_TESTS)
    took = time.monotonic() - written
    console.print(
        f"{deals:,} deals, {load.value}: written in {written - began:.0f} s, built in {took:.0f} s"
    )
    told = re.findall(r"(?:Only what hangs|All models are|\S+ is built whole).*", build.said)
    for line in told:
        console.print(f"    {line}", style="dim")
    if load != Load.company and not any(line.startswith("Only what hangs") for line in told):
        raise RuntimeError(f"The build after {load.value} was not incremental: {told}")
    return build


def _middle(found: Sequence[Run]) -> Run:
    """The run with the median of CPU seconds."""
    return sorted(found, key=lambda run: run.cpu_seconds)[len(found) // 2]


def _compare(
    base: Company, companies: tuple[Company, Company], sizes: tuple[int, int]
) -> list[Bound]:
    """What both sizes took, printed; gives what is held against bounds."""
    table = Table("", *(f"{deals:,} deals" for deals in sizes), "ratio", "exponent")

    def row(name: str, value: Callable[[Company], float]) -> tuple[float, float]:
        values = (value(companies[0]), value(companies[1]))
        add_row(table, name, values, sizes)
        return values

    def own(of: Company, step: Callable[[Company], Build]) -> float:
        """CPU seconds without what dbt takes with hardly any rows."""
        return max(step(of).cpu_seconds - step(base).cpu_seconds, 0.1)

    row("full build, CPU s", lambda of: of.full.cpu_seconds)
    row("full build, dbt's seconds", lambda of: sum(of.full.models.values()))
    row("metrics less the smallest, CPU s", lambda of: own(of, lambda of: of.metrics))
    full = row("full build less the smallest, CPU s", lambda of: own(of, lambda of: of.full))
    peak = row("full build, peak MB", lambda of: of.full.peak_mb)[1]
    row("fct_calls sorted and written, CPU s", lambda of: of.yardstick.cpu_seconds)
    full_ratio = row(
        "full build ÷ fct_calls sorted",
        lambda of: own(of, lambda of: of.full) / of.yardstick.cpu_seconds,
    )[1]
    row("attribution, engine s", lambda of: sum(of.attribution.models[one] for one in ATTRIBUTION))
    row("attribution, CPU s", lambda of: of.attribution_cpu_seconds)
    attribution_ratio = row(
        "attribution ÷ fct_calls sorted",
        lambda of: of.attribution_cpu_seconds / of.yardstick.cpu_seconds,
    )[1]
    held = [
        Bound("full build ÷ fct_calls sorted, CPU", FULL_BOUND, full_ratio),
        Bound("attribution ÷ fct_calls sorted, CPU", ATTRIBUTION_BOUND, attribution_ratio),
        Bound("exponent of the full build", EXPONENT_BOUND, exponent(full, sizes)),
        Bound("peak memory of the full build, MB", PEAK_BOUND_MB, peak),
    ]

    def after(name: str, step: Callable[[Company], Build], most: float) -> None:
        row(f"{name}, CPU s", lambda of: step(of).cpu_seconds)
        row(f"{name}, dbt's seconds", lambda of: sum(step(of).models.values()))
        row(f"{name}, of these hooks", lambda of: _hook_seconds(step(of)))
        row(f"{name} less the smallest, CPU s", lambda of: own(of, step))
        row(f"{name}, peak MB", lambda of: step(of).peak_mb)
        share = row(
            f"{name} ÷ full build, less the smallest, CPU",
            lambda of: own(of, step) / own(of, lambda of: of.full),
        )
        held.append(Bound(f"{name} ÷ full build, CPU less the smallest", most, share[1]))

    after("a day", lambda of: of.day, DAY_BOUND)
    after("late history", lambda of: of.late, LATE_BOUND)
    console.print(table)
    return held


def _hook_seconds(build: Build) -> float:
    return sum(seconds for model, seconds in build.models.items() if "-on-run-" in model)


def _print_dearest(name: str, builds: Sequence[Build], sizes: tuple[int, int]) -> None:
    table = Table(
        f"{name}, dearest, s", *(f"{deals:,} deals" for deals in sizes), "ratio", "exponent"
    )
    for model in dearest(builds[1]):
        add_row(table, model, [build.models.get(model, 0) for build in builds], sizes)
    console.print(table)


@contextlib.contextmanager
def _reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection like dbt's, to which the warehouse is attached for reading."""
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = 'UTC'; set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = '{settings.temp_dir}'; set threads = 2")
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        yield connection


def _attribute_bare(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Methods bound_deal, only_open_deal and chosen_open_deal as the models apply them.

    Returns:
        `call_key`, `card_key` and `match_method` of the calls that these methods match.
    """

    def read(sql: str) -> pd.DataFrame:
        # Keys of 60 bits must not become floats, so none may be null.
        return connection.execute(sql.replace("from ", "from warehouse.intermediate.")).df()

    calls = read(
        "select call_key, started_at, coalesce(client_key, 0) as client_key, "
        "coalesce(contact_key, 0) as contact_key, coalesce(talker_employee_key, 0) as talker_key, "
        "phone_e164, client_basis from int_calls_with_client"
    )
    deals = read(
        "select card_key, id_order, coalesce(owner_employee_key, 1) as owner_key "
        "from int_cards where card_type = 'deal'"
    )
    visits = read(
        "select card_key, entered_at, stage_semantics from int_stage_visits_bounded "
        "order by entered_at, visit_number"
    )
    cards_of_clients = read("select card_key, party_key from int_cards_of_clients")
    bindings = read("select call_key, card_key from int_call_bindings")
    phones = read("select phone_e164, client_key, contact_key from int_client_phones")

    def choose(pairs: pd.DataFrame) -> pd.DataFrame:
        """Of the deals of each call that were open then: own, latest entry, lowest id."""
        found = pairs.merge(calls[["call_key", "started_at", "talker_key"]], on="call_key")
        found = found.merge(deals, on="card_key").sort_values("started_at")
        found = pd.merge_asof(
            found, visits, left_on="started_at", right_on="entered_at", by="card_key"
        )
        found = found[found["stage_semantics"] == "open"]
        found = found.assign(
            is_own=found["owner_key"] == found["talker_key"],
            count=found.groupby("call_key")["card_key"].transform("size"),
        )
        order = ["call_key", "is_own", "entered_at", "id_order"]
        found = found.sort_values(order, ascending=[True, False, False, True])
        return found.drop_duplicates("call_key")

    bound = choose(bindings).assign(match_method="bound_deal")
    unbound = calls[~calls["call_key"].isin(bindings["call_key"])]
    by_number = unbound[unbound["client_basis"] == "number"]
    parties = pd.concat(
        [
            unbound[["call_key", "client_key"]].set_axis(["call_key", "party_key"], axis=1),
            unbound[["call_key", "contact_key"]].set_axis(["call_key", "party_key"], axis=1),
            by_number[["call_key", "phone_e164", "client_key"]]
            .merge(phones, on=["phone_e164", "client_key"])[["call_key", "contact_key"]]
            .set_axis(["call_key", "party_key"], axis=1),
        ]
    )
    pairs = parties.merge(cards_of_clients, on="party_key")[["call_key", "card_key"]]
    chosen = choose(pairs.drop_duplicates())
    is_only = chosen["count"] == 1
    chosen["match_method"] = is_only.map({True: "only_open_deal", False: "chosen_open_deal"})
    return pd.concat([bound, chosen])[["call_key", "card_key", "match_method"]]


def _process(command: str, root: Path) -> Process:
    return Process(**json.loads(_run(command, str(root)).splitlines()[-1]))


def _run(*words: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.transform", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    app()
