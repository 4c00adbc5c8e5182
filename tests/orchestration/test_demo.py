"""What `make demo` prepares and serves: a CRM's store, and the exchange's records beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestration.demo import EXCHANGE, demo_portal, is_prepared
from orchestration.settings import Settings
from sources.demo import generator
from sources.demo.generator import CompanySize
from sources.demo.telephony.office import read_planted

HELPDESK = Path(__file__).parents[1] / "data" / "helpdesk"
TINY = CompanySize(deals=90, calls=700, contacts=70, months=9, employees=10, heavy_calls=60)
VARIABLE = "SOURCES__ASTERISK__{}__OFFICE__DATABASE_URL"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The invented company is a tiny one."""
    write_store = generator.write_store
    monkeypatch.setattr(
        generator, "write_store", lambda path, size, seed: write_store(path, TINY, seed)
    )


def prepared(settings: Settings, seed: int = 1, replay: Path | None = None) -> list[str]:
    """Prepare and serve once; what was said."""
    said: list[str] = []
    variable = VARIABLE.format(settings.company.upper())
    with demo_portal(settings, replay=replay, seed=seed, limited=False, say=said.append):
        expected = None if replay else f"sqlite:///{EXCHANGE}"
        assert os.environ.get(variable) == expected
    assert variable not in os.environ
    return said


@pytest.mark.parametrize(("company", "store"), [("demo", "portal"), ("demo_amocrm", "account")])
def test_the_store_and_the_exchange_are_made_together(
    company: str, store: str, tmp_path: Path
) -> None:
    settings = Settings(company=company, data_root=tmp_path)
    assert not is_prepared(settings)
    assert prepared(settings)
    files = [settings.data_dir / f"{store}.sqlite", settings.data_dir / EXCHANGE]
    assert is_prepared(settings)
    assert not list(settings.data_dir.glob("*.part*"))
    planted = read_planted(files[1])
    times = [path.stat().st_mtime_ns for path in files]
    assert prepared(settings) == []
    assert [path.stat().st_mtime_ns for path in files] == times
    # Either of them missing, both are made anew.
    files[1].unlink()
    assert not is_prepared(settings)
    assert prepared(settings)
    assert read_planted(files[1]) == planted
    # Another seed is another company, with another exchange.
    prepared(settings, seed=2)
    assert read_planted(files[1]) != planted


def test_a_replayed_company_has_no_exchange(tmp_path: Path) -> None:
    settings = Settings(company="replay", data_root=tmp_path)
    prepared(settings, replay=HELPDESK)
    assert is_prepared(settings)
    assert not (settings.data_dir / EXCHANGE).exists()
