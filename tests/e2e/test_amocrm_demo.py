"""`make demo SYSTEM=amocrm`, by the command a user would type."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pytest

from orchestration.demo import EXCHANGE
from orchestration.settings import Settings
from sources.demo.amocrm.store import AmoStore
from tests.conftest import command_line
from tests.reference.records import CallRow
from tests.reference.telephony import pairs, pbx_calls, read_cdr


@pytest.mark.long
def test_the_demo_company_in_amocrm_is_loaded_built_and_published(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = ("demo", "--system", "amocrm")
    finished = command_line(*arguments, data_root=tmp_path / "data", dagster_home=home)
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert "raw_amocrm" in finished.stdout
    # Nothing is shown of the system that the company lacks.
    assert "raw_bitrix24" not in finished.stdout
    settings = Settings(company="demo_amocrm", data_root=tmp_path / "data")
    published = settings.published_dir / "current" / "marts_demo_amocrm.duckdb"
    with duckdb.connect(str(published), read_only=True) as connection:
        owners = connection.execute(
            "select distinct owner_basis from marts.fct_deals where closed_at is not null"
        ).fetchall()
        systems = connection.execute("select distinct source_key from marts.fct_calls").fetchall()
        merged = connection.execute(
            "select coalesce(pair_basis, call_sources) as kind, count(*) from marts.fct_calls "
            "group by kind"
        ).fetchall()
    assert owners == [("history",)]
    assert systems == [("amocrm:main",)]
    assert dict(merged) == expected_calls(settings)


def expected_calls(settings: Settings) -> dict[str, int]:
    """By the reference: notes of calls with one `uniq` are one call, the rest is the exchange's."""
    with AmoStore(settings.data_dir / "account.sqlite", read_only=True) as account:
        rows = account.query(
            "select min(id) as id, note_type, created_at, params ->> '$.uniq' as uniq, "
            "params ->> '$.phone' as phone from note where note_type in ('call_in', 'call_out') "
            "group by uniq order by id"
        )
    noted = [
        [
            CallRow(
                id=row["id"],
                call_start_date=row["created_at"],
                call_type=2 if row["note_type"] == "call_in" else 1,
                call_id=row["uniq"],
                phone_number=row["phone"],
            )
        ]
        for row in rows
    ]
    exchange = pbx_calls(read_cdr(settings.data_dir / EXCHANGE, "Asia/Yekaterinburg"))
    found = Counter(pair.basis for pair in pairs(noted, exchange))
    assert min(found.values()) > 1_000
    return {
        **found,
        "crm": len(noted) - found.total(),
        "pbx": len(exchange) - found.total(),
    }


def test_an_unknown_system_is_told_with_the_known_ones(tmp_path: Path) -> None:
    finished = command_line(
        "demo", "--system", "onec", data_root=tmp_path / "data", dagster_home=tmp_path / "home"
    )
    assert finished.returncode == 1
    told = " ".join(finished.stderr.split())
    assert "There is no system 'onec'; choose from bitrix24, amocrm." in told
