"""The documentation names only commands, settings, files and headings that there are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from orchestration.cli import app
from orchestration.settings import PROJECT_DIR, Settings

pytestmark = pytest.mark.scattered

PAGES = sorted(
    [
        *PROJECT_DIR.glob("*.md"),
        *(PROJECT_DIR / "docs").glob("*.md"),
        *(PROJECT_DIR / "docs" / "decisions").glob("*.md"),
    ]
)
MAKEFILE = (PROJECT_DIR / "Makefile").read_text()
OF_DBT = ("WAREHOUSE", "TEMP_DIR", "ACCESS_MODE")
"""Variables that profiles.yml reads beside the settings."""


def code_of(page: Path) -> str:
    """Blocks and spans of code: elsewhere `make` is an English word."""
    text = page.read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.M | re.S)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))
    return "\n".join([*blocks, *spans])


@cache
def anchors_of(page: Path) -> set[str]:
    """The names of headings in links, as the forges make them, and anchors of the page's own."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    by_heading = {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        for heading in headings
    }
    return by_heading | set(re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text()))


def calls_of_make(page: Path) -> list[list[str]]:
    """The words behind each `make`, up to the end of that command."""
    ends = re.compile(r"[#;|&)…]|\s{2,}|'$")
    # The program, not a call of it.
    code = code_of(page).replace("apt install git make", "")
    return [
        ends.split(call)[0].split()
        for call in re.findall(r"\bmake ((?:[a-z]|[A-Z_]+=)[^\n]*)", code)
    ]


def test_every_target_and_variable_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    variables = {*re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.M), "DAGSTER_HOME"}
    named: set[str] = set()
    unknown = set()
    for page in PAGES:
        for words in calls_of_make(page):
            target = next((word for word in words if "=" not in word), "help")
            named.add(target)
            given = {word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)}
            if target not in targets or not given <= variables:
                unknown.add((page.name, " ".join(words)))
    assert unknown == set()
    assert {"run", "restore", "upkeep", "doctor", "backfill"} <= named


def test_every_setting_that_is_named_exists_and_every_setting_is_named() -> None:
    known = {name.upper() for name in Settings.model_fields} | set(OF_DBT)
    named = {
        (page.name, variable)
        for page in PAGES
        for variable in re.findall(r"\bCALLFUNNEL_([A-Z_]+[A-Z])", page.read_text())
    }
    assert {found for found in named if found[1].partition("__")[0] not in known} == set()
    told = {variable for page, variable in named if page == "operating.md"}
    assert {name.upper() for name in Settings.model_fields} <= told


def test_every_command_behind_the_module_exists() -> None:
    commands = {
        info.name or (info.callback.__name__.replace("_", "-") if info.callback else "")
        for info in app.registered_commands
    }
    named = {
        (page.name, command)
        for page in PAGES
        for command in re.findall(r"python -m orchestration ([a-z-]+)", code_of(page))
    }
    assert named
    assert {found for found in named if found[1] not in commands} == set()


def test_every_link_leads_to_a_file_and_heading_of_the_project() -> None:
    broken = set()
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            is_there = there.exists() and (not anchor or anchor in anchors_of(there))
            if not is_there:
                broken.add((page.name, target))
    assert broken == set()


@pytest.mark.parametrize("folder", ["deploy/systemd", "deploy/docker", "deploy/postgresql"])
def test_operating_tells_what_deploy_holds(folder: str) -> None:
    assert (PROJECT_DIR / folder).is_dir()
    assert folder in (PROJECT_DIR / "docs" / "operating.md").read_text()
