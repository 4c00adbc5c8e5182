"""Companies so small that their numbers can be checked with a pencil."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from orchestration.settings import Settings
from sources.demo.store import PortalStore
from tests.support.companies import WITHOUT_TESTS, dbt_build, load_company_rules, make_company
from tests.support.raw import write_raw


def built_company(
    root: Path,
    portals: Mapping[str, Callable[[Path], PortalStore]],
    arguments: Sequence[str] = WITHOUT_TESTS,
    environment: Mapping[str, str] | None = None,
    **rules: Any,
) -> Settings:
    """A company that works in Bitrix24 alone, as one load leaves it, and built.

    Args:
        root: where everything is written.
        portals: what makes each portal at a path, by connection.
        arguments: of dbt build.
        environment: of dbt build, besides its own.
        rules: what `make_company` takes besides.
    """
    settings = make_company(root, connections=tuple(portals), **rules)
    settings.make_folders()
    with contextlib.ExitStack() as stack:
        stores = {
            f"bitrix24:{name}": stack.enter_context(make(root / f"{name}.sqlite"))
            for name, make in portals.items()
        }
        write_raw(stack.enter_context(duckdb.connect(str(settings.warehouse))), stores)
    load_company_rules(settings)
    dbt_build(settings, *arguments, environment=environment)
    return settings
