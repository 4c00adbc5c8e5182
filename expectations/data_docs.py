"""Data Docs: what Great Expectations says of every table of a build, as pages without a server.

The library renders the sections. Its site builder and its frame of pages are left alone: the index
is a table that scripts of other hosts draw (empty without them), and each page asks eight hosts for
styles and scripts and one for a logo.
"""

from __future__ import annotations

import datetime as dt
import functools
import html
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expectations.runner import Judgement

BUILDS_KEPT = 10

_NAME = re.compile(r"build-(\d+)")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid #ddd }
.text-success::before { content: "\\2713"; color: #1b6e3c }
.text-danger::before { content: "\\2717"; color: #b00020 }
.failed { color: #b00020; font-weight: 600 }
.passed { color: #1b6e3c }
"""

logger = logging.getLogger("callfunnel.quality")


def data_docs_page(folder: Path, build_number: int, check_name: str = "index") -> Path:
    """Where the page of a suite is, or the list of all suites of a build."""
    return folder / f"build-{build_number}" / f"{check_name}.html"


def write_data_docs(folder: Path, build_number: int, judgements: Sequence[Judgement]) -> None:
    """Write the pages of a build; those of the oldest builds go.

    A disk that is full must not keep a build from being judged: what goes wrong is logged.
    """
    written = folder / f"build-{build_number}.part"
    final = data_docs_page(folder, build_number).parent
    try:
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir(parents=True, mode=0o750)
        for judgement in judgements:
            page = written / f"{judgement.boundary.name}.html"
            page.write_text(_page(judgement), encoding="utf-8")
        (written / "index.html").write_text(_index(build_number, judgements), encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        written.rename(final)
        forget_old_builds(folder)
    except OSError as error:
        logger.warning("the pages of Great Expectations could not be written: %s", error)


def forget_old_builds(folder: Path) -> int:
    """Remove the pages of builds beyond the newest, and of builds broken off; list the others.

    Returns:
        How many builds' pages went.
    """
    if not folder.exists():
        return 0
    old = [data_docs_page(folder, number).parent for number in _builds(folder)[BUILDS_KEPT:]]
    old += folder.glob("build-*.part")
    for pages in old:
        shutil.rmtree(pages)
    (folder / "index.html").write_text(_builds_index(folder), encoding="utf-8")
    return len(old)


def _builds(folder: Path) -> list[int]:
    """Newest first."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted((int(match[1]) for match in found if match), reverse=True)


def _page(judgement: Judgement) -> str:
    boundary = judgement.boundary
    page, section_of = _renderers()
    judgement.result.meta.setdefault("run_id", {"run_name": boundary.name})
    # The first section repeats what stands on the index, and links to pages that are not made.
    sections = page.render(judgement.result).to_json_dict()["sections"][1:]
    body = "".join(
        # The template asks in which turn of its page's loop it is.
        section_of.render(
            {"section": section, "section_loop": {"index": number}, "loop": {"index": number}}
        )
        for number, section in enumerate(sections, start=1)
    )
    return _framed(
        boundary.name,
        f'<p><a href="index.html">All suites</a></p><h1>{boundary.schema}.{boundary.table}</h1>'
        f"<p>{boundary.name}</p>{body}",
    )


@functools.cache
def _renderers() -> tuple[Any, Any]:
    """The library's renderer of results and view of sections.

    One for all pages: a new one compiles its 17 templates again, 50 ms each time.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaSectionView

    return ValidationResultsPageRenderer(), DefaultJinjaSectionView()


def _index(build_number: int, judgements: Sequence[Judgement]) -> str:
    rows = []
    for judgement in sorted(judgements, key=lambda one: (not one.failures, one.boundary.name)):
        boundary = judgement.boundary
        failed = ", ".join(f"{name} {value:g}" for name, value in judgement.failures.items())
        verdict = (
            f'<span class="failed">{html.escape(failed)}</span>'
            if failed
            else ('<span class="passed">passed</span>')
        )
        rows.append(
            f'<tr><td>{boundary.schema}.{boundary.table}</td><td><a href="{boundary.name}.html">'
            f"{boundary.name}</a></td><td>{len(boundary.bounds)}</td><td>{verdict}</td></tr>"
        )
    failed_count = sum(bool(judgement.failures) for judgement in judgements)
    written = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return _framed(
        f"Build {build_number}",
        f'<p><a href="../index.html">All builds</a></p><h1>Build {build_number}</h1>'
        f"<p>Judged {written}: {len(judgements)} suites, {failed_count} failed.</p>"
        "<table><tr><th>table</th><th>suite</th><th>expectations</th><th>verdict</th></tr>"
        f"{''.join(rows)}</table>",
    )


def _builds_index(folder: Path) -> str:
    items = "".join(
        f'<li><a href="build-{number}/index.html">Build {number}</a></li>'
        for number in _builds(folder)
    )
    return _framed("Data quality", f"<h1>Data quality</h1><ul>{items}</ul>")


def _framed(title: str, body: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        f"</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
