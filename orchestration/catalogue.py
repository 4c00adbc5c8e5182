"""The metric catalogue as pages, rendered from the rows of `metric_catalogue` that BI reads."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from orchestration.manifest import dbt_executable
from orchestration.settings import PROJECT_DIR, Settings
from sources.errors import CallfunnelError

LANGUAGES = ("en", "ru", "uk")

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Metric catalogue",
        "intro": (
            "What every number means, which question it answers, how it is misread and what to do. "
            "The same texts are the table `metric_catalogue`. They are written in the yml files "
            "beside the tables; this page is made from them by `make docs-metrics`."
        ),
        "languages": "Other languages",
        "contents": "Contents",
        "word": "Words",
        "illness": "Illnesses of a funnel",
        "signal": "Signals",
        "reports": "Reports",
        "metric": "Numbers",
        "semantic": "Numbers of the semantic layer",
        "column": "Columns",
        "value": "Values",
        "other_values": "Values in other tables",
        "table": "Table",
        "shared": "Explained elsewhere",
        "grain": "Grain",
        "formula": "Formula",
        "question": "Question",
        "trap": "Trap",
        "action": "What to do",
        "example": "Example",
        "sum": "adds up",
        "semi": "adds up, but not over days",
        "none": "does not add up",
    },
    "ru": {
        "title": "Каталог показателей",
        "intro": (
            "Что значит каждое число, на какой вопрос оно отвечает, как его читают неверно и что "
            "делать. Те же тексты стоят в таблице `metric_catalogue`. Они написаны в yml-файлах "
            "рядом с таблицами; эта страница собрана из них командой `make docs-metrics`."
        ),
        "languages": "Другие языки",
        "contents": "Содержание",
        "word": "Слова",
        "illness": "Болезни воронки",
        "signal": "Сигналы",
        "reports": "Отчёты",
        "metric": "Показатели",
        "semantic": "Показатели семантического слоя",
        "column": "Столбцы",
        "value": "Значения",
        "other_values": "Значения в других таблицах",
        "table": "Таблица",
        "shared": "Объяснены в другом месте",
        "grain": "Детализация",
        "formula": "Формула",
        "question": "Вопрос",
        "trap": "Ловушка",
        "action": "Что делать",
        "example": "Пример",
        "sum": "складывается",
        "semi": "складывается, но не по дням",
        "none": "не складывается",
    },
    "uk": {
        "title": "Каталог показників",
        "intro": (
            "Що означає кожне число, на яке питання воно відповідає, як його читають хибно і що "
            "робити. Ті самі тексти стоять у таблиці `metric_catalogue`. Їх написано в yml-файлах "
            "поруч із таблицями; цю сторінку зібрано з них командою `make docs-metrics`."
        ),
        "languages": "Інші мови",
        "contents": "Зміст",
        "word": "Слова",
        "illness": "Хвороби воронки",
        "signal": "Сигнали",
        "reports": "Звіти",
        "metric": "Показники",
        "semantic": "Показники семантичного шару",
        "column": "Стовпці",
        "value": "Значення",
        "other_values": "Значення в інших таблицях",
        "table": "Таблиця",
        "shared": "Пояснено в іншому місці",
        "grain": "Деталізація",
        "formula": "Формула",
        "question": "Питання",
        "trap": "Пастка",
        "action": "Що робити",
        "example": "Приклад",
        "sum": "додається",
        "semi": "додається, але не за днями",
        "none": "не додається",
    },
}


@dataclass(frozen=True)
class Entry:
    """A row of `metric_catalogue`: one entry in one language."""

    entry_kind: str
    entry_name: str
    report: str | None
    table_name: str | None
    column_name: str | None
    language: str
    name: str
    definition: str
    formula: str | None
    unit: str | None
    grain: str | None
    additivity: str | None
    question: str | None
    trap: str | None
    action: str | None
    example: str | None

    @property
    def anchor(self) -> str:
        """Where a page holds the entry; the same in every language."""
        parts = (self.table_name, self.column_name, self.entry_name)
        told = dict.fromkeys(part for part in parts if part)
        return re.sub(r"[^\w.-]", "", ".".join(told)) or self.entry_name

    @property
    def meaning(self) -> tuple[str | None, ...]:
        """Equal where tables share a column."""
        return (self.name, self.definition, self.formula)


def read_catalogue() -> list[Entry]:
    """All entries, as dbt compiles them; no company's warehouse is needed.

    Raises:
        CallfunnelError: the dbt project does not compile; dbt's own words follow.
    """
    with TemporaryDirectory() as folder:
        settings = Settings(company="demo", data_root=Path(folder))
        settings.make_folders()
        finished = subprocess.run(
            [str(dbt_executable()), "--quiet", "compile", "--select", "metric_catalogue"],
            cwd=PROJECT_DIR,
            env={**os.environ, **settings.dbt_environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        compiled = settings.dbt_target_dir.glob("compiled/**/metric_catalogue.sql")
        sql = next((path.read_text(encoding="utf-8") for path in compiled), None)
        if finished.returncode != 0 or sql is None:
            raise CallfunnelError(f"The catalogue does not compile:\n{finished.stdout.strip()}")
    fields = ", ".join(Entry.__dataclass_fields__)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {fields} from ({sql}) order by entry_position, language"
        ).fetchall()
    return [Entry(*row) for row in rows]


def page_path(language: str) -> Path:
    """The page of a language."""
    return PROJECT_DIR / "docs" / f"metrics.{language}.md"


def write_pages() -> list[Path]:
    """Write the page of every language; returns them."""
    entries = read_catalogue()
    for language in LANGUAGES:
        page_path(language).write_text(render_page(entries, language), encoding="utf-8")
    return [page_path(language) for language in LANGUAGES]


def render_page(entries: Iterable[Entry], language: str) -> str:
    """The page of one language: words, then report by report, then illnesses and signals."""
    own = [entry for entry in entries if entry.language == language]
    return "\n".join([*_head(own, language), *_body(own, _TEXTS[language])]) + "\n"


def _reports(entries: list[Entry]) -> list[Entry]:
    """By number; of several tables the one that explains most of its own stands first."""
    size = Counter(entry.table_name for entry in entries if _section(entry) != "semantic")
    reports = [entry for entry in entries if entry.entry_kind == "report"]
    return sorted(reports, key=lambda one: (_number(one), -size[one.table_name], one.entry_name))


def _number(report: Entry) -> int:
    return int((report.report or "R99").removeprefix("R"))


def _head(entries: list[Entry], language: str) -> Iterator[str]:
    texts = _TEXTS[language]
    yield f"# {texts['title']}\n"
    others = (code for code in LANGUAGES if code != language)
    links = ", ".join(f"[{code}]({page_path(code).name})" for code in others)
    yield f"{texts['intro']} {texts['languages']}: {links}.\n"
    yield f"## {texts['contents']}\n"
    kinds = {entry.entry_kind for entry in entries}
    if "word" in kinds:
        yield f"- [{texts['word']}](#words)"
    yield f"- {texts['reports']}"
    yield from (f"  - [{r.report}. {r.name}](#{r.anchor})" for r in _reports(entries))
    for kind in ("illness", "signal"):
        if kind in kinds:
            yield f"- [{texts[kind]}](#{kind})"
    yield f"- [{texts['other_values']}](#values)\n"


def _body(entries: list[Entry], texts: Mapping[str, str]) -> Iterator[str]:
    seen: dict[tuple[str | None, ...], Entry] = {}
    yield from _terms(entries, "word", "words", texts)
    for report in _reports(entries):
        yield f'## <a id="{report.anchor}"></a>{report.report}. {report.name}\n'
        yield f"{report.definition}\n"
        yield f"- **{texts['table']}.** `{report.entry_name}`"
        yield f"- **{texts['grain']}.** {report.grain}."
        for field in ("question", "trap", "action", "example"):
            yield f"- **{texts[field]}.** {getattr(report, field)}"
        yield ""
        of_table = [entry for entry in entries if entry.table_name == report.entry_name]
        for kind in ("metric", "column", "semantic"):
            listed = [entry for entry in of_table if _section(entry) == kind]
            told = [entry for entry in listed if seen.setdefault(entry.meaning, entry) is entry]
            if listed:
                yield f"### {texts[kind]}\n"
            for entry in told:
                yield from _item(entry, report, texts)
            shared = [seen[entry.meaning] for entry in listed if entry not in told]
            if shared:
                links = ", ".join(f"[{entry.name}](#{entry.anchor})" for entry in shared)
                yield f"- {texts['shared']}: {links}."
            if listed:
                yield ""
        yield from _values([entry for entry in of_table if entry.entry_kind == "value"], texts)
    for kind in ("illness", "signal"):
        yield from _terms(entries, kind, kind, texts)
    reports = {entry.entry_name for entry in _reports(entries)}
    other = [e for e in entries if e.entry_kind == "value" and e.table_name not in reports]
    if other:
        yield f'## <a id="values"></a>{texts["other_values"]}\n'
        yield from _values(other, texts)


def _section(entry: Entry) -> str:
    """Metrics that no column of a table holds can only be asked of the semantic layer."""
    is_semantic = entry.entry_kind == "metric" and entry.column_name is None
    return "semantic" if is_semantic else entry.entry_kind


def _terms(entries: list[Entry], kind: str, anchor: str, texts: Mapping[str, str]) -> Iterator[str]:
    listed = [entry for entry in entries if entry.entry_kind == kind]
    if listed:
        yield f'## <a id="{anchor}"></a>{texts[kind]}\n'
        for entry in listed:
            yield from _item(entry, None, texts)
        yield ""


def _values(entries: list[Entry], texts: Mapping[str, str]) -> Iterator[str]:
    """Values by the column that holds them, else by their report."""
    by_place: dict[str, list[Entry]] = {}
    for entry in entries:
        place = f"`{entry.column_name}`" if entry.column_name else str(entry.report)
        by_place.setdefault(place, []).append(entry)
    for place, listed in by_place.items():
        yield f"### {texts['value']}: {place}\n"
        for entry in listed:
            yield from _item(entry, None, texts)
        yield ""


def _item(entry: Entry, report: Entry | None, texts: Mapping[str, str]) -> Iterator[str]:
    """The entry as an item; what it takes from its report is told there."""
    told = [f"`{entry.entry_name}`"]
    if entry.unit:
        told.append(entry.unit)
    if entry.additivity:
        told.append(texts[entry.additivity])
    formula = f" {texts['formula']}: `{entry.formula}`." if entry.formula else ""
    yield (
        f'- <a id="{entry.anchor}"></a>**{entry.name}** ({"; ".join(told)}). '
        f"{entry.definition}{formula}"
    )
    for field in ("question", "trap", "action", "example"):
        text = getattr(entry, field)
        if text and (report is None or text != getattr(report, field)):
            yield f"  - {texts[field]}: {text}"
