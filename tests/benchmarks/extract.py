"""`make bench-extract`: reading deals out of a portal, as ratios within one run.

1. Under the portal's real limit (2 requests a second, a bucket of 50, 40 ms per command): the time
   of our extraction against the limiter's own floor, refusals met, server work against the least
   that pages without a count need; other people's clients against the same portal beside it.
2. Without a limit: the CPU of a whole load (API to merged raw tables) per further row against
   DuckDB's `read_json` of the same rows from a file, and the peak memory at both sizes.

Every measured client runs in a process of its own, the portal in another. Medians of our runs are
held against the bounds that the project has set itself; one that is broken makes the exit code 1.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from sources.demo.certificates import issue_certificate
from sources.demo.limiter import LeakyBucket
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.demo.store import DEAL, PortalStore, to_microseconds
from tests.support.portals import NOON

COMMAND_SECONDS = 0.04
COUNT_SECONDS = 0.04
PAGE, BATCH = 50, 50
BUCKET, LEAK = 50, 2
FOREIGN = ("fast-bitrix24", "b24pysdk")
HOST = "bench.bitrix24.example"

EXTRACTION_BOUND = 1.7
"""Times the limiter's own floor."""
WORK_BOUND = 1.1
"""Times the server work that pages without a count need."""
CPU_BOUND = 5.0
"""Times the CPU that DuckDB's read_json takes for the same further rows."""
PEAK_BOUND_MB = 700.0
PEAK_GROWTH_BOUND = 1.5

app = typer.Typer(help=__doc__, add_completion=False)
console = Console(width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True)
class Measured:
    """One run of one client.

    Attributes:
        rows: that it has read.
        seconds: of the clock.
        cpu_seconds: of the client's process.
        peak_mb: of the client's process.
        requests: that the portal has counted.
        refused: of them, by the limit.
        operating_seconds: the portal's work.
        problem: what went wrong.
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int
    refused: int
    operating_seconds: float
    problem: str = ""


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    rows: Annotated[int, typer.Option(help="Deals under the limit")] = 200_000,
    many_rows: Annotated[int, typer.Option(help="Deals of the larger load without a limit")] = (
        1_000_000
    ),
    runs: Annotated[int, typer.Option(help="Runs of ours; medians are printed")] = 5,
    foreign_runs: Annotated[int, typer.Option(help="Runs of each other client")] = 1,
    foreign_seconds: Annotated[int, typer.Option(help="Patience with other clients")] = 900,
) -> None:
    """Measure and print; see the module's first lines."""
    if context.invoked_subcommand:
        return
    with tempfile.TemporaryDirectory(prefix="bench-extract-") as folder:
        few = write_deals(Path(folder) / "few.sqlite", rows)
        held = _measure_under_limit(few, rows, runs, foreign_runs, foreign_seconds)
        many = write_deals(Path(folder) / "many.sqlite", many_rows)
        held += _measure_cpu_and_memory(Path(folder), few, rows, many, many_rows, runs)
    table = Table("bound", "at most", "measured", "")
    for bound in held:
        table.add_row(
            bound.name, f"{bound.most:g}", f"{bound.measured:.3g}", "" if bound.holds else "broken"
        )
    console.print(table)
    if not all(bound.holds for bound in held):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Bound:
    """What a median may be at most."""

    name: str
    most: float
    measured: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.most


def write_deals(path: Path, rows: int) -> Path:
    """A store with this many deals and nothing else, ids without gaps."""
    with PortalStore(path) as store:
        store.create()
        store.set_meta("clock", to_microseconds(NOON) + 86_400_000_000)
        store.set_meta("utc_offset", 180)
        names = list(DEAL.columns)
        start = to_microseconds(NOON) - rows * 60_000_000

        def deal(number: int) -> tuple[Any, ...]:
            at = start + number * 60_000_000
            row = {
                "ID": number,
                "TITLE": f"Поставка оборудования № {number}",
                "TYPE_ID": "SALE",
                "CATEGORY_ID": number % 4,
                "STAGE_ID": "NEW",
                "STAGE_SEMANTIC_ID": "P",
                "IS_NEW": 0,
                "IS_RECURRING": 0,
                "IS_RETURN_CUSTOMER": number % 5 == 0,
                "CURRENCY_ID": "RUB",
                "OPPORTUNITY": f"{number % 900_000}.00",
                "IS_MANUAL_OPPORTUNITY": 1,
                "COMPANY_ID": number % 30_000,
                "CONTACT_ID": number % 150_000 + 1,
                "BEGINDATE": at,
                "CLOSEDATE": at + 7 * 86_400_000_000,
                "OPENED": 1,
                "CLOSED": 0,
                "ASSIGNED_BY_ID": number % 80 + 1,
                "CREATED_BY_ID": 1,
                "MODIFY_BY_ID": number % 80 + 1,
                "MOVED_BY_ID": number % 80 + 1,
                "DATE_CREATE": at,
                "DATE_MODIFY": at + 3_600_000_000,
                "MOVED_TIME": at + 3_600_000_000,
                "SOURCE_ID": "WEB",
                "UTM_SOURCE": "yandex",
                "UTM_MEDIUM": "cpc",
                "UTM_CAMPAIGN": f"campaign-{number % 200}",
                "LAST_ACTIVITY_TIME": at + 3_600_000_000,
                "LAST_ACTIVITY_BY": number % 80 + 1,
                "CUSTOM": f'{{"UF_CRM_PRODUCT": "Насос", "UF_CRM_GRADE": "{"ABC"[number % 3]}"}}',
            }
            return tuple(int(v) if isinstance(v, bool) else v for v in map(row.get, names))

        store.insert_tuples("deal", map(deal, range(1, rows + 1)))
        store.insert("user", [{"ID": 1, "ACTIVE": 1, "NAME": "Anna", "USER_TYPE": "employee"}])
        store.insert("category", [{"ID": 0, "NAME": "Sales", "SORT": 10, "IS_DEFAULT": 1}])
        store.finish()
    return path


def _measure_under_limit(
    store: Path, rows: int, runs: int, foreign_runs: int, patience: int
) -> list[Bound]:
    requests = math.ceil(rows / PAGE / BATCH)
    floor = max(0, requests - BUCKET) / LEAK
    least_work = math.ceil(rows / PAGE) * COMMAND_SECONDS
    console.print(
        f"[bold]{rows:,} deals under the limit[/bold]: {requests} batches at least, the limiter's "
        f"floor {floor:.1f} s, least server work {least_work:.0f} s"
    )
    table = Table("client", "runs", "rows", "seconds", "÷ floor", "503", "server work ÷ least", "")
    ours = [_run("callfunnel", store, limited=True) for _ in range(runs)]
    _add_row(table, "callfunnel (extraction)", ours, floor, least_work)
    for client in FOREIGN:
        if foreign_runs:
            theirs = [
                _run(client, store, limited=True, patience=patience) for _ in range(foreign_runs)
            ]
            _add_row(table, client, theirs, floor, least_work)
    console.print(table)
    if incomplete := [run for run in ours if run.problem or run.rows != rows]:
        raise RuntimeError(f"extraction failed: {incomplete[0]}")
    held = [
        Bound("requests refused by the limit", 0, max(run.refused for run in ours)),
        Bound(
            "server work ÷ least",
            WORK_BOUND,
            statistics.median(run.operating_seconds for run in ours) / least_work,
        ),
    ]
    if floor:
        seconds = statistics.median(run.seconds for run in ours)
        held.append(Bound("extraction ÷ the limiter's floor", EXTRACTION_BOUND, seconds / floor))
    return held


def _add_row(
    table: Table, name: str, runs: list[Measured], floor: float, least_work: float
) -> None:
    seconds = statistics.median(run.seconds for run in runs)
    work = statistics.median(run.operating_seconds for run in runs)
    table.add_row(
        name,
        str(len(runs)),
        f"{min(run.rows for run in runs):,}",
        f"{seconds:.1f} ({min(r.seconds for r in runs):.1f}–{max(r.seconds for r in runs):.1f})",
        f"{seconds / floor:.2f}" if floor else "no floor",
        str(max(run.refused for run in runs)),
        f"{work / least_work:.3f}",
        next((run.problem for run in runs if run.problem), ""),
    )


def _measure_cpu_and_memory(
    folder: Path, few: Path, few_rows: int, many: Path, many_rows: int, runs: int
) -> list[Bound]:
    console.print(f"[bold]{few_rows:,} and {many_rows:,} deals without a limit[/bold]")
    ratios, loads, reads = [], [], []
    few_peaks, many_peaks = [], []
    files = {
        rows: _export(folder, store, rows) for rows, store in ((few_rows, few), (many_rows, many))
    }
    for _ in range(runs):
        small = _run("callfunnel-load", few, limited=False)
        large = _run("callfunnel-load", many, limited=False)
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
    peak = statistics.median(many_peaks)
    return [
        Bound("load ÷ read_json, marginal CPU", CPU_BOUND, statistics.median(ratios)),
        Bound(f"peak memory at {many_rows:,} rows, MB", PEAK_BOUND_MB, peak),
        Bound("peak memory, large ÷ small", PEAK_GROWTH_BOUND, peak / statistics.median(few_peaks)),
    ]


def _export(folder: Path, store: Path, rows: int) -> Path:
    """The rows as the API prints them, a JSON object per line."""
    from sources.bitrix24.client import Bitrix24Client
    from sources.bitrix24.lists import DEALS
    from sources.bitrix24.reading import Reader, spans

    path = folder / f"deals-{rows}.ndjson"
    with PortalStore(store, read_only=True) as opened, serve_in_thread(Portal(opened)) as address:
        reader = Reader(Bitrix24Client(address, requests_per_second=0))
        with path.open("w", encoding="utf-8") as file:

            def write(found: list[Any], answer: Any) -> Any:
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
                file.write(lines)
                return None

            for _ in reader.read(DEALS, {}, spans(0, rows, rows), write):
                pass
        reader.close()
    return path


def _read_json_cpu(file: Path) -> float:
    """CPU seconds of DuckDB reading the rows into a table, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.extract", "read-json", str(file)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(finished.stdout)


def _run(client: str, store: Path, *, limited: bool, patience: int | None = None) -> Measured:
    with (
        tempfile.TemporaryDirectory() as folder,
        _portal(store, limited=limited, tls=folder if client == "b24pysdk" else "") as (
            address,
            ask,
        ),
    ):
        command = [sys.executable, "-m", "tests.benchmarks.extract", "client", client, folder]
        environment = {
            **os.environ,
            "BENCH_WEBHOOK": address,
            "NO_PROXY": HOST,
        }
        if client == "b24pysdk":
            environment["REQUESTS_CA_BUNDLE"] = str(Path(folder) / "ca.pem")
        began = time.monotonic()
        problem = ""
        try:
            finished = subprocess.run(
                command,
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
        served = ask()
    return Measured(
        rows=int(told.get("rows", 0)),
        seconds=float(told.get("seconds", time.monotonic() - began)),
        cpu_seconds=float(told.get("cpu_seconds", 0)),
        peak_mb=float(told.get("peak_mb", 0)),
        requests=served["requests"],
        refused=served["refused"],
        operating_seconds=served["operating"],
        problem=problem,
    )


@contextlib.contextmanager
def _portal(store: Path, *, limited: bool, tls: str) -> Iterator[tuple[str, Any]]:
    """A portal in a process of its own; gives its address and a way to ask what it has served."""
    command = [sys.executable, "-m", "tests.benchmarks.extract", "portal", str(store)]
    command += ["--limited"] if limited else []
    command += ["--tls", tls] if tls else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said, heard = process.stdout, process.stdin

    def ask() -> dict[str, Any]:
        heard.write("served\n")
        heard.flush()
        return dict(json.loads(said.readline()))

    try:
        yield said.readline().strip(), ask
    finally:
        process.kill()
        process.wait()


@app.command("portal", hidden=True)
def portal_command(store: Path, limited: bool = False, tls: Path | None = None) -> None:
    """Serve a store, and tell on request what was served."""
    files = issue_certificate(tls, [HOST]) if tls else None
    bucket = _CountingBucket() if limited else None
    with PortalStore(store, read_only=True) as opened:
        portal = Portal(
            opened,
            code="bench",
            bucket=bucket,
            command_seconds=COMMAND_SECONDS if limited else 0.0,
            count_seconds=COUNT_SECONDS if limited else 0.0,
        )
        with serve_in_thread(portal, tls=files) as address:
            print(address, flush=True)
            for _ in sys.stdin:
                served = {
                    "requests": portal.requests,
                    "refused": bucket.refused if bucket else 0,
                    "operating": sum(portal.operating.values()),
                }
                print(json.dumps(served), flush=True)


@dataclass
class _CountingBucket(LeakyBucket):
    refused: int = 0

    def admits(self) -> bool:
        admitted = super().admits()
        self.refused += not admitted
        return admitted


@app.command("read-json", hidden=True)
def read_json_command(file: Path) -> None:
    """Print the CPU seconds of DuckDB's read_json into a table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(str(Path(folder) / "read.duckdb")) as connection,
    ):
        began = time.process_time()
        connection.execute(
            "create table deals as select * from read_json(?, format = 'newline_delimited')",
            [str(file)],
        )
        connection.execute("checkpoint")
        print(time.process_time() - began)


@app.command("client", hidden=True)
def client_command(client: str, folder: Path) -> None:
    """Read all deals with one client and print what it took."""
    address = os.environ["BENCH_WEBHOOK"]
    readers = {
        "callfunnel": _extract,
        "callfunnel-load": _load,
        "fast-bitrix24": _fast_bitrix24,
        "b24pysdk": _b24pysdk,
    }
    # Importing a library is nobody's reading.
    read = readers[client](address, folder)
    began, cpu_began = time.monotonic(), time.process_time()
    rows = read()
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak})
    )


Read = Callable[[], int]
"""Reads all deals; gives their number."""


def _extract(address: str, folder: Path) -> Read:
    """Our extraction: the cut, then all deals through dlt into parquet files, not yet loaded."""
    from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
    from sources.connection import Request, Tally
    from sources.pipelines import make_pipeline

    def read() -> int:
        connector = Bitrix24Connector(Bitrix24Client(address), "main")
        pipeline = make_pipeline(
            "bitrix24", "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
        )
        cut, tally, request = connector.cut(), Tally(), Request(only=frozenset({"deals"}))
        pipeline.extract(connector.source(cut, tally, request))
        while tally.unfinished:
            tally.unfinished = set()
            pipeline.extract(connector.source(cut, tally, request))
        connector.close()
        return tally.received["deals"]

    return read


def _load(address: str, folder: Path) -> Read:
    """Our whole load, from the API to merged raw tables, details of single cards apart."""
    from sources.bitrix24 import Bitrix24Client, Bitrix24Connector
    from sources.loading import LoadOptions, load_connection
    from sources.pipelines import make_pipeline

    def read() -> int:
        connector = Bitrix24Connector(Bitrix24Client(address, requests_per_second=0), "main")
        pipeline = make_pipeline(
            "bitrix24", "main", warehouse=folder / "w.duckdb", pipelines_dir=folder / "dlt"
        )
        load = load_connection(pipeline, connector, LoadOptions(owners_per_load=0))
        return next(entity.rows_raw for entity in load.entities if entity.entity == "deals")

    return read


def _fast_bitrix24(address: str, folder: Path) -> Read:
    from fast_bitrix24 import Bitrix

    def read() -> int:
        found = Bitrix(address, verbose=False).get_all("crm.deal.list", {"select": ["*", "UF_*"]})
        return len({row["ID"] for row in found})

    return read


def _b24pysdk(address: str, folder: Path) -> Read:
    """The vendor's own client, in its fast way; it insists on https and a host name."""
    import socket
    from urllib.parse import urlsplit

    from b24pysdk import BitrixWebhook

    parts = urlsplit(address)
    resolve = socket.getaddrinfo

    def resolved(host: Any, *more: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host == HOST else host, *more, **named)

    socket.getaddrinfo = resolved
    user, code = parts.path.strip("/").split("/")[1:]
    webhook = BitrixWebhook(domain=f"{HOST}:{parts.port}", webhook_token=f"{user}/{code}")

    def read() -> int:
        asked = {"select": ["*", "UF_*"]}
        answer = webhook.call_list_fast(api_method="crm.deal.list", params=asked)
        return len({row["ID"] for row in answer["result"]})

    return read


if __name__ == "__main__":
    app()
