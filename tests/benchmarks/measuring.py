"""What the benchmarks of all systems share: processes, one run of one client, tables, bounds.

Every measured client runs in a process of its own, the stand-in in another.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from sources.connection import Connector, Request, Tally
from sources.demo.certificates import TlsFiles, issue_certificate

ADDRESS = "BENCH_ADDRESS"
"""The environment's variable with the stand-in's address: it may hold a secret."""
OURS, OUR_LOAD = "callfunnel", "callfunnel-load"
CPU_BOUND = 5.0
"""Times the CPU that DuckDB's read_json takes for the same further rows."""
PEAK_BOUND_MB = 700.0
PEAK_GROWTH_BOUND = 1.5

console = Console(width=None if sys.stdout.isatty() else 120)

Read = Callable[[], int]
"""Reads all rows; gives their number."""


@dataclass(frozen=True)
class Served:
    """What a stand-in counts.

    Attributes:
        refused: requests refused by the limit.
        work: what the clients have cost, in the system's unit.
    """

    refused: int
    work: float


@dataclass(frozen=True)
class System:
    """A system's stand-in, the entity that is read out of it, and who reads it.

    Attributes:
        name: the module's.
        entity: what is read, as we call it.
        refusal: the status of a request refused by the limit.
        floor_seconds: the least time that the limit allows for so many rows.
        work: what reading costs the server.
        least_work: the least of it for so many rows.
        extraction_bound: of our extraction, times the floor.
        work_bound: of our extraction, times the least work; None holds it against nothing.
        write: makes a store of so many rows.
        export: writes a store's rows as the API prints them, a JSON object per line.
        serve: serves a store, limited or not; gives the address and what was served since.
        readers: by client, from the address and a folder of its own; ours are `OURS`, `OUR_LOAD`.
        secure: clients that insist on https and on the host.
        host: of the certificate.
    """

    name: str
    entity: str
    refusal: int
    floor_seconds: Callable[[int], float]
    work: str
    least_work: Callable[[int], float]
    extraction_bound: float
    work_bound: float | None
    write: Callable[[Path, int], Path]
    export: Callable[[Path, Path], None]
    serve: Callable[
        [Path, bool, TlsFiles | None], AbstractContextManager[tuple[str, Callable[[], Served]]]
    ]
    readers: Mapping[str, Callable[[str, Path], Read]]
    secure: frozenset[str] = frozenset()
    host: str = ""

    @property
    def foreign(self) -> list[str]:
        """Clients that others wrote."""
        return [name for name in self.readers if name not in (OURS, OUR_LOAD)]


@dataclass(frozen=True)
class Measured:
    """One run of one client.

    Attributes:
        rows: that it has read.
        seconds: of the clock.
        cpu_seconds: of the client's process.
        peak_mb: of the client's process.
        served: what the stand-in has counted.
        problem: what went wrong.
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    served: Served
    problem: str = ""


@dataclass(frozen=True)
class Bound:
    """What a median may be at most."""

    name: str
    most: float
    measured: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.most


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and how often.

    Attributes:
        rows: under the limit, and of the smaller load without one.
        many_rows: of the larger load.
        runs: of ours.
        foreign_runs: of each other client.
        foreign_seconds: the patience with each of these.
    """

    rows: int
    many_rows: int
    runs: int
    foreign_runs: int
    foreign_seconds: int


def measure(system: System, sizes: Sizes) -> list[Bound]:
    """All measurements of one system, printed; gives what is held against bounds."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{system.name}-") as name:
        folder = Path(name)
        few = system.write(folder / "few.sqlite", sizes.rows)
        held = _measure_under_limit(system, few, sizes)
        many = system.write(folder / "many.sqlite", sizes.many_rows)
        return held + _measure_cpu_and_memory(system, folder, few, many, sizes)


def print_bounds(held: list[Bound]) -> bool:
    """Print the bounds; whether all hold."""
    table = Table("bound", "at most", "measured", "")
    for bound in held:
        table.add_row(
            bound.name, f"{bound.most:g}", f"{bound.measured:.3g}", "" if bound.holds else "broken"
        )
    console.print(table)
    return all(bound.holds for bound in held)


def _measure_under_limit(system: System, store: Path, sizes: Sizes) -> list[Bound]:
    rows, name = sizes.rows, f"{system.name}: "
    floor, least_work = system.floor_seconds(rows), system.least_work(rows)
    console.print(
        f"[bold]{system.name}, {rows:,} {system.entity} under the limit[/bold]: the limit's floor "
        f"{floor:.1f} s, least {system.work} {least_work:,.0f}"
    )
    table = Table(
        *("client", "runs", "rows", "seconds", "÷ floor", str(system.refusal)),
        *(f"{system.work} ÷ least", ""),
    )
    ours = [_run(system, OURS, store, limited=True) for _ in range(sizes.runs)]
    _add_row(table, "callfunnel (extraction)", ours, floor, least_work)
    for client in system.foreign if sizes.foreign_runs else ():
        theirs = [
            _run(system, client, store, limited=True, patience=sizes.foreign_seconds)
            for _ in range(sizes.foreign_runs)
        ]
        _add_row(table, client, theirs, floor, least_work)
    console.print(table)
    if incomplete := [run for run in ours if run.problem or run.rows != rows]:
        raise RuntimeError(f"extraction failed: {incomplete[0]}")
    held = [Bound(f"{name}requests refused by the limit", 0, max(r.served.refused for r in ours))]
    if system.work_bound is not None:
        work = statistics.median(run.served.work for run in ours)
        held.append(Bound(f"{name}{system.work} ÷ least", system.work_bound, work / least_work))
    if floor:
        seconds = statistics.median(run.seconds for run in ours)
        bound = f"{name}extraction ÷ the limit's floor"
        held.append(Bound(bound, system.extraction_bound, seconds / floor))
    return held


def _add_row(
    table: Table, name: str, runs: list[Measured], floor: float, least_work: float
) -> None:
    seconds = statistics.median(run.seconds for run in runs)
    work = statistics.median(run.served.work for run in runs)
    table.add_row(
        name,
        str(len(runs)),
        f"{min(run.rows for run in runs):,}",
        f"{seconds:.1f} ({min(r.seconds for r in runs):.1f}–{max(r.seconds for r in runs):.1f})",
        f"{seconds / floor:.2f}" if floor else "no floor",
        str(max(run.served.refused for run in runs)),
        f"{work / least_work:.3f}",
        next((run.problem for run in runs if run.problem), ""),
    )


def _measure_cpu_and_memory(
    system: System, folder: Path, few: Path, many: Path, sizes: Sizes
) -> list[Bound]:
    few_rows, many_rows = sizes.rows, sizes.many_rows
    console.print(
        f"[bold]{system.name}, {few_rows:,} and {many_rows:,} {system.entity} without a limit"
        "[/bold]"
    )
    ratios, loads, reads = [], [], []
    few_peaks, many_peaks = [], []
    files = {rows: folder / f"{rows}.ndjson" for rows in (few_rows, many_rows)}
    for rows, store in ((few_rows, few), (many_rows, many)):
        system.export(store, files[rows])
    for _ in range(sizes.runs):
        small = _loaded(system, few, few_rows)
        large = _loaded(system, many, many_rows)
        read = _read_json_cpu(files[many_rows]) - _read_json_cpu(files[few_rows])
        load = large.cpu_seconds - small.cpu_seconds
        loads.append(load)
        reads.append(read)
        ratios.append(load / read)
        few_peaks.append(small.peak_mb)
        many_peaks.append(large.peak_mb)
    table = Table("", "median", "all runs")
    marginal = f"marginal CPU of {many_rows - few_rows:,} rows"
    rows_of = {
        f"load, {marginal}, s": loads,
        f"read_json, {marginal}, s": reads,
        "load ÷ read_json": ratios,
        f"peak memory at {few_rows:,} rows, MB": few_peaks,
        f"peak memory at {many_rows:,} rows, MB": many_peaks,
    }
    for name, values in rows_of.items():
        table.add_row(
            name, f"{statistics.median(values):.2f}", ", ".join(f"{v:.2f}" for v in values)
        )
    console.print(table)
    peak, name = statistics.median(many_peaks), f"{system.name}: "
    growth = peak / statistics.median(few_peaks)
    return [
        Bound(f"{name}load ÷ read_json, marginal CPU", CPU_BOUND, statistics.median(ratios)),
        Bound(f"{name}peak memory at {many_rows:,} rows, MB", PEAK_BOUND_MB, peak),
        Bound(f"{name}peak memory, large ÷ small", PEAK_GROWTH_BOUND, growth),
    ]


def _loaded(system: System, store: Path, rows: int) -> Measured:
    load = _run(system, OUR_LOAD, store, limited=False)
    if load.problem or load.rows != rows:
        raise RuntimeError(f"load failed: {load}")
    return load


def _run(
    system: System, client: str, store: Path, *, limited: bool, patience: int | None = None
) -> Measured:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        tls = Path(folder) if client in system.secure else None
        address, served = stack.enter_context(_stand_in(system, store, limited=limited, tls=tls))
        environment = {**os.environ, ADDRESS: address, "NO_PROXY": f"{system.host},127.0.0.1"}
        if tls:
            environment["REQUESTS_CA_BUNDLE"] = str(tls / "ca.pem")
        began = time.monotonic()
        problem = ""
        try:
            finished = subprocess.run(
                _command("client", system.name, client, folder),
                env=environment,
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
            said = finished.stdout.strip().splitlines()
            told: Mapping[str, Any] = json.loads(said[-1]) if said else {}
            if finished.returncode:
                problem = (finished.stderr.strip().splitlines() or ["failed"])[-1][:60]
        except subprocess.TimeoutExpired:
            told, problem = {}, f"not through after {patience} s"
        return Measured(
            rows=int(told.get("rows", 0)),
            seconds=float(told.get("seconds", time.monotonic() - began)),
            cpu_seconds=float(told.get("cpu_seconds", 0)),
            peak_mb=float(told.get("peak_mb", 0)),
            served=served(),
            problem=problem,
        )


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.extract", *words]


@contextlib.contextmanager
def _stand_in(
    system: System, store: Path, *, limited: bool, tls: Path | None
) -> Iterator[tuple[str, Callable[[], Served]]]:
    """A stand-in in a process of its own; gives its address and a way to ask what was served."""
    command = _command("portal", system.name, str(store))
    command += ["--limited"] if limited else []
    command += ["--tls", str(tls)] if tls else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    said, heard = process.stdout, process.stdin

    def served() -> Served:
        heard.write("served\n")
        heard.flush()
        return Served(**json.loads(said.readline()))

    try:
        yield said.readline().strip(), served
    finally:
        process.kill()
        process.wait()


def stand_in(system: System, store: Path, *, limited: bool, tls: Path | None) -> None:
    """Serve a store in this process, and tell on request what was served."""
    files = issue_certificate(tls, [system.host]) if tls else None
    with system.serve(store, limited, files) as (address, served):
        print(address, flush=True)
        for _ in sys.stdin:
            print(json.dumps(asdict(served())), flush=True)


def client(system: System, name: str, folder: Path) -> None:
    """Read everything with one client in this process and print what it took."""
    # Importing a library is nobody's reading.
    read = system.readers[name](os.environ[ADDRESS], folder)
    began, cpu_began = time.monotonic(), time.process_time()
    rows = read()
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak})
    )


def extraction(connector: Connector, entity: str, folder: Path) -> Read:
    """Our extraction: the cut, then an entity through dlt into parquet files, not yet loaded."""
    from sources.pipelines import make_pipeline

    def read() -> int:
        pipeline = make_pipeline(
            connector.system, "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
        )
        cut, tally, request = connector.cut(), Tally(), Request(only=frozenset({entity}))
        pipeline.extract(connector.source(cut, tally, request))
        while tally.unfinished:
            tally.unfinished = set()
            pipeline.extract(connector.source(cut, tally, request))
        connector.close()
        return tally.received[entity]

    return read


def whole_load(connector: Connector, entity: str, folder: Path) -> Read:
    """Our whole load, from the API to merged raw tables, details of single cards apart."""
    from sources.loading import LoadOptions, load_connection
    from sources.pipelines import make_pipeline

    def read() -> int:
        pipeline = make_pipeline(
            connector.system, "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
        )
        load = load_connection(pipeline, connector, LoadOptions(owners_per_load=0))
        return next(found.rows_raw for found in load.entities if found.entity == entity)

    return read


def _read_json_cpu(file: Path) -> float:
    """CPU seconds of DuckDB reading the rows into a table, in a process of its own."""
    finished = subprocess.run(
        _command("read-json", str(file)), check=True, capture_output=True, text=True
    )
    return float(finished.stdout)


def read_json(file: Path) -> None:
    """Print the CPU seconds of DuckDB's read_json into a table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(str(Path(folder) / "read.duckdb")) as connection,
    ):
        began = time.process_time()
        connection.execute(
            "create table found as select * from read_json(?, format = 'newline_delimited')",
            [str(file)],
        )
        connection.execute("checkpoint")
        print(time.process_time() - began)
