"""The worlds of loads without faults, made once each, and no waiting between tries."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults.system import system_of
from tests.support.faults.waits import Waits
from tests.support.faults.world import World, fault_free_world


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    found = Waits()
    for user in ("tenacity.nap", "tenacity", "sources.amocrm.client"):
        monkeypatch.setattr(f"{user}.time", found)
    return found


@pytest.fixture(scope="session")
def bitrix24_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fault_free_world(system_of("bitrix24"), tmp_path_factory.mktemp("bitrix24")) as made:
        yield made


@pytest.fixture(scope="session")
def amocrm_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fault_free_world(system_of("amocrm"), tmp_path_factory.mktemp("amocrm")) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "desk"
    # A thousand warehouses of 15 MB each.
    shutil.rmtree(tmp_path / "desk", ignore_errors=True)
