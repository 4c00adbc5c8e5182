"""`make bench-calls`: how calls of CRM and telephony scale, from raw tables to `fct_calls`.

At two sizes, over many numbers, over 50, and with a line that one client has called 100,000 times:

1. the pairing by number and time alone (the model `int_calls_paired_by_phone`, sorting included);
2. the dbt build of the calls' part of the graph, and of it the dearest models.

CPU seconds and peak memory of processes of their own; the exponent is log10(t2/t1) ÷ log10(n2/n1),
of the build less what it takes with hardly any calls. A bound that is broken makes the exit code 1.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.table import Table

from orchestration.settings import PROJECT_DIR, Settings
from sources.demo.store import from_microseconds
from tests.benchmarks.building import (
    MEMORY_LIMIT,
    Build,
    add_row,
    dearest,
    exponent,
    peak_mb,
    run_dbt,
    settings_of,
    write_users,
)
from tests.benchmarks.measuring import Bound, console, print_bounds
from tests.support.companies import WITHOUT_TESTS, load_company_rules, make_company
from tests.support.portals import at, make_portal
from tests.support.raw import write_raw
from tests.support.raw_telephony import Pbx, write_raw_telephony

EXPONENT_BOUND = 1.1
PAIRING_PEAK_BOUND_MB = 4096.0
HARDLY_ANY = 1000
USERS = 80
CALLS_OF_A_LINE = 100_000
NUMBERS_OF_A_FEW = 50
CLIENTS = 100_000
"""So many numbers, at most, are clients with a deal."""
DAYS = 365
_MODEL = PROJECT_DIR / "models/intermediate/telephony/int_calls_paired_by_phone.py"

app = typer.Typer(help=__doc__, add_completion=False)


class Mixture(StrEnum):
    """Whose calls they are."""

    many_numbers = "many-numbers"
    few_numbers = "few-numbers"
    one_line = "one-line"

    def number(self, calls: int) -> str:
        """SQL: the number of the call `i`."""
        many = f"(hash(i) % {max(calls // 10, 1)})::bigint"
        return {
            Mixture.many_numbers: many,
            Mixture.few_numbers: f"(hash(i) % {NUMBERS_OF_A_FEW})::bigint",
            Mixture.one_line: f"case when i < {CALLS_OF_A_LINE} then 0 else {many} end",
        }[self]


@dataclass(frozen=True)
class Pairing:
    """One run of the pairing.

    Attributes:
        cpu_seconds: of the process.
        peak_mb: of the process.
    """

    cpu_seconds: float
    peak_mb: float


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    mixture: Annotated[
        list[Mixture] | None, typer.Option(help="A mixture to measure; all without it")
    ] = None,
    few: Annotated[int, typer.Option(help="Calls of the smaller company")] = 1_000_000,
    many: Annotated[int, typer.Option(help="Calls of the larger company")] = 10_000_000,
    runs: Annotated[int, typer.Option(help="Runs of the pairing; medians are printed")] = 3,
    folder: Annotated[Path | None, typer.Option(help="For the warehouses; 2 GB a million")] = None,
    pairing_only: Annotated[bool, typer.Option(help="Leave the build out: two minutes")] = False,
) -> None:
    """Measure and print; see the module's first lines."""
    if context.invoked_subcommand:
        return
    held: list[Bound] = []
    with tempfile.TemporaryDirectory(prefix="bench-calls-", dir=folder) as name:
        root = Path(name)
        base = None
        if not pairing_only:
            base = _build(_company(root / "base", HARDLY_ANY, Mixture.many_numbers))
            console.print(f"dbt with {HARDLY_ANY:,} calls: {base.cpu_seconds:.1f} CPU s")
        for one in mixture or Mixture:
            held += _measure(root, one, (few, many), runs, base)
    if not print_bounds(held):
        raise typer.Exit(1)


@app.command("pairing", hidden=True)
def pairing_command(warehouse: Path) -> None:
    """Run the model of the pairing on a built warehouse and print what it took."""
    spec = importlib.util.spec_from_file_location("pairing_model", _MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(warehouse.parent / "pairing_tmp"),
        "preserve_insertion_order": "false",
        "threads": "2",
    }
    with duckdb.connect(str(warehouse), read_only=True, config=options) as connection:

        class Dbt:
            """What dbt hands to a Python model."""

            def config(self, **_: Any) -> None:
                pass

            def ref(self, name: str) -> duckdb.DuckDBPyRelation:
                return connection.table(f"intermediate.{name}")

        began = time.process_time()
        pairs = module.model(Dbt(), connection)
        cpu_seconds = time.process_time() - began
    told = {"cpu_seconds": cpu_seconds, "peak_mb": peak_mb(), "pairs": pairs.num_rows}
    print(json.dumps(told))


@app.command("write", hidden=True)
def write_command(root: Path, calls: int, mixture: Mixture, rows_to_pair: bool = False) -> None:
    """Write a company, or the rows to pair alone: in a process of its own, for its memory."""
    if rows_to_pair:
        _write_rows_to_pair(root, calls, mixture)
    else:
        _write_company(settings_of(root), root, calls, mixture)


def _measure(
    root: Path, mixture: Mixture, sizes: tuple[int, int], runs: int, base: Build | None
) -> list[Bound]:
    builds, pairings = [], []
    for calls in sizes:
        folder = root / f"{mixture.value}-{calls}"
        if base is None:
            warehouse = _rows_to_pair(folder, calls, mixture)
        else:
            settings = _company(folder, calls, mixture)
            warehouse = settings.warehouse
            builds.append(_build(settings))
        found = [_pair(warehouse) for _ in range(runs)]
        pairings.append(
            Pairing(
                statistics.median(run.cpu_seconds for run in found),
                statistics.median(run.peak_mb for run in found),
            )
        )
        # A warehouse of ten million calls takes some 20 GB.
        warehouse.unlink()
    table = Table(mixture.value, *(f"{calls:,} calls" for calls in sizes), "ratio", "exponent")
    add_row(table, "pairing, CPU s", [run.cpu_seconds for run in pairings], sizes)
    add_row(table, "pairing, peak MB", [run.peak_mb for run in pairings], sizes)
    power = exponent([run.cpu_seconds for run in pairings], sizes)
    peak = pairings[1].peak_mb
    held = [
        Bound(f"{mixture.value}: exponent of the pairing", EXPONENT_BOUND, power),
        Bound(f"{mixture.value}: peak memory of the pairing, MB", PAIRING_PEAK_BOUND_MB, peak),
    ]
    if base is not None:
        add_row(table, "build, CPU s", [run.cpu_seconds for run in builds], sizes)
        own = [max(run.cpu_seconds - base.cpu_seconds, 0.1) for run in builds]
        add_row(table, "build less the smallest, CPU s", own, sizes)
        add_row(table, "build, peak MB", [run.peak_mb for run in builds], sizes)
        for model in dearest(builds[1]):
            add_row(table, f"{model}, s", [run.models.get(model, 0) for run in builds], sizes)
        power = exponent(own, sizes)
        held.append(Bound(f"{mixture.value}: exponent of the build", EXPONENT_BOUND, power))
    console.print(table)
    return held


def _company(root: Path, calls: int, mixture: Mixture) -> Settings:
    _run("write", str(root), str(calls), mixture.value)
    return settings_of(root)


def _rows_to_pair(root: Path, calls: int, mixture: Mixture) -> Path:
    _run("write", str(root), str(calls), mixture.value, "--rows-to-pair")
    return root / "warehouse.duckdb"


def _write_company(settings: Settings, root: Path, calls: int, mixture: Mixture) -> None:
    """A company with so many calls in its CRM, and their rows in the telephony; not built.

    Of ten calls of the CRM the telephony has eight, two of them under an id that the CRM knows, and
    it has one call more. One in five has two legs.
    """
    root.mkdir()
    make_company(root, connections=("bitrix24:main", "asterisk:office"))
    settings.make_folders()
    cut = at(DAYS * 24 * 60 + 60)
    with make_portal(root / "portal.sqlite", clock_minutes=DAYS * 24 * 60 + 60) as store:
        write_users(store, USERS)
        with duckdb.connect(str(settings.warehouse)) as connection:
            write_raw(connection, {"bitrix24:main": store})
            write_raw_telephony(connection, {"asterisk:office": Pbx(from_microseconds(cut))})
    load_company_rules(settings)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(f"set TimeZone = 'UTC'; set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = '{settings.temp_dir}'")
        connection.execute("set preserve_insertion_order = false; set threads = 2")
        connection.execute(_made(calls, mixture))
        for statement in _written(calls, cut):
            connection.execute(statement)


def _write_rows_to_pair(root: Path, calls: int, mixture: Mixture) -> None:
    """A warehouse with nothing but the rows that no id pairs."""
    root.mkdir()
    warehouse = root / "warehouse.duckdb"
    group = "(hash(number * 2 + is_inbound::integer) >> 4)::bigint as pair_group"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set preserve_insertion_order = false; set threads = 2")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(_made(calls, mixture))
        connection.execute("create schema intermediate")
        connection.execute(
            f"""
            create table intermediate.int_calls_to_pair as
            select 'crm' as side, i as row_key, {group}, second as started_second, 1 as row_order
            from made where kind >= 2 and i < {calls}
            union all
            select 'pbx', i, {group}, second + skew, 1
            from made where kind between 2 and 7 or i >= {calls}
            """
        )


def _made(calls: int, mixture: Mixture) -> str:
    """SQL: calls as they were, spread over a year, however many they are."""
    return f"""
        create temp table made as
        select
            i, {mixture.number(calls)} as number,
            {at(0) // 1_000_000} + (hash(i * 3 + 1) % {DAYS * 86_400})::bigint as second,
            hash(i + 5) % 10 as kind, hash(i + 7) % 5 = 0 as has_legs,
            i % 2 = 0 as is_inbound, hash(i + 11) % 10 < 7 as is_answered,
            [0, 0, 1, 1, 2, -1, 5, 9][(hash(i) % 8)::bigint + 1] as skew,
            (hash(i + 13) % 300)::bigint + 1 as talk, (hash(i) % {USERS} + 1)::bigint as talker
        from range({calls * 11 // 10}) as numbers(i)
    """


def _written(calls: int, cut: int) -> list[str]:
    """SQL: the rows that the calls leave, clients with a deal each."""
    received = f"make_timestamptz({cut})"
    return [
        f"""
        insert into raw_bitrix24.calls by name
        select
            'bitrix24:main' as source_key, i as id, talker as portal_user_id,
            '+79' || lpad(number::varchar, 9, '0') as phone_number, 'call-' || i as call_id,
            case when kind < 2 then second || '.' || i end as external_call_id,
            'external' as call_category, case when is_answered then talk else 0 end
                as call_duration,
            make_timestamptz(second * 1000000) as call_start_date,
            case when is_answered then '200' else '304' end as call_failed_code,
            case when is_inbound then 2 else 1 end as call_type, '{{}}'::json as extra,
            {received} as received_at
        from made where i < {calls}
        """,
        f"""
        insert into raw_telephony.asterisk_cdr by name
        with legs as (
            select *, 0 as leg from made where kind < 8 or i >= {calls}
            union all
            select *, 1 as leg from made where (kind < 8 or i >= {calls}) and has_legs
        )
        select
            'asterisk:office' as source_key, second || '.' || i || '/' || leg as row_key,
            second || '.' || i as uniqueid, second || '.' || i as linkedid, leg as sequence,
            make_timestamptz((second + skew) * 1000000) as calldate,
            case when is_inbound then '+79' || lpad(number::varchar, 9, '0')
                else (100 + talker)::varchar end as src,
            case when is_inbound then (100 + talker)::varchar
                else '+79' || lpad(number::varchar, 9, '0') end as dst,
            case when is_inbound then '74950000001' end as did,
            case when is_inbound then 'PJSIP/trunk-1' else 'PJSIP/' || (100 + talker) || '-1' end
                as channel,
            case when is_inbound then 'PJSIP/' || (100 + talker) || '-2' else 'PJSIP/trunk-2' end
                as dstchannel,
            'Dial' as lastapp, talk + 10 as duration, case when is_answered then talk else 0 end
                as billsec,
            case when is_answered then 'ANSWERED' else 'NO ANSWER' end as disposition,
            '{{}}'::json as extra, {received} as received_at
        from legs
        """,
        """
        insert into raw_derived.phone_numbers by name
        select distinct
            '+79' || lpad(number::varchar, 9, '0') as raw_text, 'RU' as region,
            'bench' as library_version, raw_text as phone_e164
        from made
        """,
        f"""
        insert into raw_bitrix24.contacts by name
        select distinct
            'bitrix24:main' as source_key, number + 1 as id, 'Client' as name,
            json_array(json_object('VALUE', '+79' || lpad(number::varchar, 9, '0'))) as phone,
            '[]'::json as email, '{{}}'::json as extra, {received} as received_at
        from made where number < {CLIENTS}
        """,
        f"""
        insert into raw_bitrix24.deals by name
        select
            'bitrix24:main' as source_key, id, 'Deal' as title, 0 as category_id,
            'NEW' as stage_id, 'P' as stage_semantic_id, false as is_recurring, id as contact_id,
            (id % {USERS} + 1) as assigned_by_id, make_timestamptz({at(-60)}) as date_create,
            make_timestamptz({at(-60)}) as date_modify, make_timestamptz({at(-60)}) as moved_time,
            '{{}}'::json as extra, {received} as received_at
        from raw_bitrix24.contacts
        """,
        "drop table made",
        "checkpoint",
    ]


def _build(settings: Settings) -> Build:
    """The calls' part of the graph, without tests."""
    return run_dbt(settings, "build", "--select", "+fct_calls", *WITHOUT_TESTS)


def _pair(warehouse: Path) -> Pairing:
    told = json.loads(_run("pairing", str(warehouse)).splitlines()[-1])
    return Pairing(told["cpu_seconds"], told["peak_mb"])


def _run(*words: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.calls", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    app()
