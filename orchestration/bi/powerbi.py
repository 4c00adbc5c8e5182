"""A Power BI project (PBIP): the semantic model as TMDL, and an empty report over it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration.bi.dax import LeftOut, Measure, column, format_of, measures, row_filter
from orchestration.bi.model import DATES, EMPLOYEES, BiModel, Column, Relationship, Table
from orchestration.bi.pbip import shell
from orchestration.bi.tmdl import Tmdl, identifier, one_line, tag

CULTURES: Mapping[str, str] = {"en": "en-US", "ru": "ru-RU", "uk": "uk-UA"}
MEASURES = "measures"
VIEWERS = "bi_viewers"
"""E-mail to employee: the company's own file, no part of what callfunnel publishes."""
ROLE = "Manager"

_COMPATIBILITY = 1600
_DECIMAL_DIGITS = 4
_OWN_TABLES = (MEASURES, VIEWERS)
_VIEWER_COLUMNS: Mapping[str, str] = {
    "email": "string",
    "source_key": "string",
    "employee_id": "int64",
}
_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "Source": ("postgresql", "Where tables are read: postgresql or parquet."),
    "Server": ("localhost", "PostgreSQL: host, or host:port."),
    "Database": ("callfunnel", "PostgreSQL: database."),
    "Folder": ("C:\\callfunnel\\current", "Parquet: the folder published/current, no slash after."),
    "ViewersFile": (
        "",
        "csv of who is which employee: email, source_key, employee_id; may be empty.",
    ),
}
_CALENDAR = ("year_start_on", "quarter_start_on", "month_start_on", "date_day")
_DATE_FORMATS = {"year_start_on": "yyyy", "month_start_on": "yyyy-mm"}
# What stands beside every published table; one copy is enough for a report.
_PUBLICATION = {"generation": "int64", "as_of_at": "dateTime"}


@dataclass(frozen=True)
class Project:
    """What was written."""

    folder: Path
    file: Path
    tables: int
    columns: int
    relationships: int
    inactive: int
    measures: int
    left_out: Sequence[LeftOut]


def write_project(model: BiModel, company: str, folder: Path, language: str) -> Project:
    """Write the project; one that stands there is replaced, the rest of the folder stays.

    Args:
        model: from `read_bi_model`.
        company: names the project, `callfunnel_<company>`.
        folder: where it is written.
        language: the model's own culture; captions of all languages are in it anyway.

    Returns:
        The counts, and the metrics that are no measure with the reason.
    """
    name = f"callfunnel_{company}"
    model = _without_amounts_of_cards(model)
    made, left_out = measures(model)
    files = {
        **shell(name),
        **_definition(model, name, made, language),
        "README.md": _readme(model, name, made, left_out),
    }
    for part in (f"{name}.SemanticModel", f"{name}.Report"):
        shutil.rmtree(folder / part, ignore_errors=True)
    for path, text in sorted(files.items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return Project(
        folder=folder,
        file=folder / f"{name}.pbip",
        tables=len(model.tables),
        columns=sum(len(table.columns) for table in model.tables.values()),
        relationships=len(model.relationships),
        inactive=sum(not one.is_active for one in model.relationships),
        measures=len(made),
        left_out=left_out,
    )


def _without_amounts_of_cards(model: BiModel) -> BiModel:
    """Everybody sees every card, for calls hang on them: so cards carry no amount here."""
    cards = model.tables["dim_cards"]
    columns = {name: one for name, one in cards.columns.items() if name != "company_amount"}
    return replace(model, tables={**model.tables, cards.name: replace(cards, columns=columns)})


def _definition(
    model: BiModel, name: str, made: Sequence[Measure], language: str
) -> dict[str, str]:
    root = f"{name}.SemanticModel/definition"
    files = {
        f"{root}/database.tmdl": f"database {name}\n\tcompatibilityLevel: {_COMPATIBILITY}\n",
        f"{root}/model.tmdl": _model(model, language),
        f"{root}/expressions.tmdl": _expressions(),
        f"{root}/relationships.tmdl": _relationships(model),
        f"{root}/roles/{ROLE}.tmdl": _role(model),
        f"{root}/tables/{MEASURES}.tmdl": _measures_table(made, language),
        f"{root}/tables/{VIEWERS}.tmdl": _viewers_table(),
    }
    for table in model.tables.values():
        files[f"{root}/tables/{table.name}.tmdl"] = _table(table, language)
    for spoken, culture in CULTURES.items():
        files[f"{root}/cultures/{culture}.tmdl"] = _culture(model, made, spoken)
    return files


def _model(model: BiModel, language: str) -> str:
    text = Tmdl()
    text.add(0, "model Model")
    text.add(
        1,
        f"culture: {CULTURES[language]}",
        "defaultPowerBIDataSourceVersion: powerBI_V3",
        f"sourceQueryCulture: {CULTURES[language]}",
        "dataAccessOptions",
    )
    text.add(2, "legacyRedirects", "returnErrorValuesAsNull")
    text.gap()
    # Hidden date tables of Desktop's own would stand beside dim_dates.
    text.add(0, "annotation __PBI_TimeIntelligenceEnabled = 0")
    text.gap()
    order = json.dumps([*_PARAMETERS, *model.tables, *_OWN_TABLES])
    text.add(0, f"annotation PBI_QueryOrder = {order}")
    text.gap()
    text.add(0, *(f"ref table {identifier(name)}" for name in [*model.tables, *_OWN_TABLES]))
    text.gap()
    text.add(0, f"ref role {ROLE}")
    text.gap()
    text.add(0, *(f"ref cultureInfo {culture}" for culture in CULTURES.values()))
    return str(text)


def _expressions() -> str:
    text = Tmdl()
    for name, (value, description) in _PARAMETERS.items():
        text.describe(0, description)
        required = "true" if value else "false"
        choice = ', List={"postgresql", "parquet"}, DefaultValue="postgresql"'
        text.add(
            0,
            f'expression {name} = "{value}" meta [IsParameterQuery=true'
            f'{choice if name == "Source" else ""}, Type="Text", '
            f"IsParameterQueryRequired={required}]",
        )
        text.add(1, f"lineageTag: {tag('expression', name)}")
        text.gap()
        text.add(1, "annotation PBI_ResultType = Text")
        text.gap()
    return str(text)


def _relationships(model: BiModel) -> str:
    text = Tmdl()
    for one in model.relationships:
        text.add(0, f"relationship {tag('relationship', one.name)}")
        if not one.is_active:
            text.add(1, "isActive: false")
        text.add(
            1,
            f"fromColumn: {identifier(one.from_table)}.{identifier(one.from_column)}",
            f"toColumn: {identifier(one.to_table)}.{identifier(one.to_column)}",
        )
        text.gap()
    return str(text)


def secured(model: BiModel) -> dict[str, str]:
    """The role's filter of each table that has one.

    A table whose rows belong to somebody is followed to that person. Rows that belong to nobody
    (totals of the company, other slices) stay hidden, and so does a table of the company's numbers
    that leads to no person at all. Dictionaries stay open: pipelines, sources, days, cards.
    """
    filters = {EMPLOYEES[0]: row_filter(VIEWERS), VIEWERS: "FALSE()"}
    for table in model.tables.values():
        if table.name == EMPLOYEES[0]:
            continue
        link = _way_to_employees(model, table.name)
        if link:
            filters[table.name] = f"NOT(ISBLANK({column(table.name, link.from_column)}))"
        elif not table.is_dimension and table.name != "metric_catalogue":
            filters[table.name] = "FALSE()"
    return filters


def _way_to_employees(model: BiModel, table: str) -> Relationship | None:
    """The first step of the active way from a table to its employee, be it over other facts."""
    for one in model.relationships:
        is_step = one.is_active and one.from_table == table
        if is_step and (one.to_table == EMPLOYEES[0] or _way_to_employees(model, one.to_table)):
            return one
    return None


def _role(model: BiModel) -> str:
    text = Tmdl()
    text.describe(0, "Sees the rows of the employee whose e-mail bi_viewers names.")
    text.add(0, f"role {ROLE}")
    text.add(1, "modelPermission: read")
    text.gap()
    for table, expression in sorted(secured(model).items()):
        text.add(1, f"tablePermission {identifier(table)} = {expression}")
        text.gap()
    return str(text)


def _table(table: Table, language: str) -> str:
    text = Tmdl()
    is_calendar = table.name == DATES[0]
    text.describe(0, table.definitions.get(language) or table.description)
    text.add(0, f"table {identifier(table.name)}")
    text.add(1, f"lineageTag: {tag(table.name)}")
    if table.name == "dim_time_spine":
        text.add(1, "isHidden")
    if is_calendar:
        text.add(1, "dataCategory: Time")
    text.gap()
    for one in table.columns.values():
        _column(text, table, one, language)
    if is_calendar:
        for name, data_type in _PUBLICATION.items():
            _plain_column(text, table.name, name, data_type, is_hidden=True)
        text.add(1, "hierarchy calendar")
        text.add(2, f"lineageTag: {tag(table.name, 'hierarchy', 'calendar')}")
        text.gap()
        for level in _CALENDAR:
            text.add(2, f"level {level}")
            text.add(
                3,
                f"lineageTag: {tag(table.name, 'hierarchy', 'calendar', level)}",
                f"column: {level}",
            )
            text.gap()
    names = [*table.columns, *(_PUBLICATION if is_calendar else ())]
    text.add(1, f"partition {identifier(table.name)} = m")
    text.add(2, "mode: import", "source =")
    text.code(4, _query(table.name, names))
    text.gap()
    text.add(1, "annotation PBI_ResultType = Table")
    return str(text)


def _column(text: Tmdl, table: Table, one: Column, language: str) -> None:
    data_type = type_of(one.data_type)
    text.describe(1, one.definitions.get(language) or one.description)
    text.add(1, f"column {identifier(one.name)}")
    text.add(2, f"dataType: {data_type}")
    if one.is_key:
        text.add(2, "isHidden")
    if table.name == DATES[0] and one.name == DATES[1]:
        text.add(2, "isKey")
    format_string = _column_format(one, data_type)
    if format_string:
        text.add(2, f"formatString: {format_string}")
    adds_up = data_type in ("int64", "double", "decimal") and one.additivity == "sum"
    text.add(
        2,
        f"lineageTag: {tag(table.name, one.name)}",
        f"summarizeBy: {'sum' if adds_up else 'none'}",
        f"sourceColumn: {one.name}",
    )
    text.gap()
    if one.data_type == "date":
        text.add(2, "annotation UnderlyingDateTimeDataType = Date")
        text.gap()


def _plain_column(text: Tmdl, table: str, name: str, data_type: str, *, is_hidden: bool) -> None:
    text.add(1, f"column {identifier(name)}")
    text.add(2, f"dataType: {data_type}")
    if is_hidden:
        text.add(2, "isHidden")
    text.add(2, f"lineageTag: {tag(table, name)}", "summarizeBy: none", f"sourceColumn: {name}")
    text.gap()


def type_of(data_type: str) -> str:
    """The type of a contract in the tabular model."""
    if data_type.startswith("decimal"):
        # A tabular decimal has four digits; rates and sums of fractions have more.
        scale = int(data_type.rstrip(")").partition(",")[2])
        return "double" if scale > _DECIMAL_DIGITS else "decimal"
    return {
        "bigint": "int64",
        "integer": "int64",
        "double": "double",
        "varchar": "string",
        "boolean": "boolean",
        "date": "dateTime",
        "timestamp": "dateTime",
    }[data_type]


def _column_format(one: Column, data_type: str) -> str | None:
    if data_type == "dateTime":
        plain = "yyyy-mm-dd" if one.data_type == "date" else "yyyy-mm-dd hh:nn:ss"
        return _DATE_FORMATS.get(one.name, plain)
    if data_type in ("string", "boolean"):
        return None
    if one.name.endswith(("_key", "_id")):
        return "0"
    if data_type == "int64":
        return format_of(one.name, one.unit) if one.unit else "#,0"
    return format_of(one.name, one.unit) if one.unit else "#,0.00"


def _query(table: str, columns: Sequence[str]) -> list[str]:
    """One table from either source; the names stand in it, so that the service sees the source."""
    listed = ", ".join(f'"{name}"' for name in columns)
    return [
        "let",
        '    Read = if Source = "postgresql"',
        "        then PostgreSQL.Database(Server, Database)"
        f'{{[Schema="marts",Item="{table}"]}}[Data]',
        f'        else Parquet.Document(File.Contents(Folder & "\\{table}.parquet")),',
        f"    Chosen = Table.SelectColumns(Read, {{{listed}}})",
        "in",
        "    Chosen",
    ]


def _measures_table(made: Sequence[Measure], language: str) -> str:
    text = Tmdl()
    text.describe(0, "The metrics of the semantic layer; the table has no rows.")
    text.add(0, f"table {MEASURES}")
    text.add(1, f"lineageTag: {tag(MEASURES)}")
    text.gap()
    for one in made:
        entry = one.entries[language]
        text.describe(1, f"{entry.name}. {entry.definition}")
        text.add(1, f"measure {identifier(one.name)} = {one.expression}")
        text.add(
            2,
            f"formatString: {one.format_string}",
            f"displayFolder: {_folder(one)}",
            f"lineageTag: {tag(MEASURES, 'measure', one.name)}",
        )
        text.gap()
    text.describe(1, "The moment the data describe, UTC.")
    text.add(1, f"measure as_of = MAX({column(DATES[0], 'as_of_at')})")
    text.add(
        2, "formatString: yyyy-mm-dd hh:nn", f"lineageTag: {tag(MEASURES, 'measure', 'as_of')}"
    )
    text.gap()
    _plain_column(text, MEASURES, "placeholder", "string", is_hidden=True)
    text.add(1, f"partition {MEASURES} = m")
    text.add(2, "mode: import", "source = #table(type table [placeholder = text], {})")
    return str(text)


def _folder(one: Measure) -> str:
    return one.entries["en"].report or "other"


def _viewers_table() -> str:
    text = Tmdl()
    text.describe(0, "Who looks at reports: e-mail and employee. Nobody in a role reads it.")
    text.add(0, f"table {VIEWERS}")
    text.add(1, f"lineageTag: {tag(VIEWERS)}", "isHidden")
    text.gap()
    for name, data_type in _VIEWER_COLUMNS.items():
        _plain_column(text, VIEWERS, name, data_type, is_hidden=True)
    text.add(1, f"partition {VIEWERS} = m")
    text.add(2, "mode: import", "source =")
    text.code(
        4,
        [
            "let",
            "    Empty = #table(type table [email = text, source_key = text, "
            "employee_id = Int64.Type], {}),",
            '    Read = if ViewersFile = null or ViewersFile = "" then Empty '
            "else Table.TransformColumnTypes(",
            '        Table.PromoteHeaders(Csv.Document(File.Contents(ViewersFile), [Delimiter=",", '
            "Encoding=65001, QuoteStyle=QuoteStyle.Csv])),",
            '        {{"email", type text}, {"source_key", type text}, '
            '{"employee_id", Int64.Type}}, "en-US"),',
            '    Chosen = Table.SelectColumns(Read, {"email", "source_key", "employee_id"})',
            "in",
            "    Chosen",
        ],
    )
    return str(text)


def _culture(model: BiModel, made: Sequence[Measure], language: str) -> str:
    text = Tmdl()
    text.add(0, f"cultureInfo {CULTURES[language]}")
    text.gap()
    text.add(1, "translations")
    text.add(2, "model Model")
    for table in model.tables.values():
        columns = [one for one in table.columns.values() if one.names.get(language)]
        text.add(3, f"table {identifier(table.name)}")
        if table.names.get(language):
            text.add(4, f"caption: {one_line(table.names[language])}")
        if table.definitions.get(language):
            text.add(4, f"description: {one_line(table.definitions[language])}")
        for one in columns:
            text.add(4, f"column {identifier(one.name)}")
            text.add(5, f"caption: {one_line(one.names[language])}")
            if one.definitions.get(language):
                text.add(5, f"description: {one_line(one.definitions[language])}")
    text.add(3, f"table {MEASURES}")
    text.add(4, f"caption: {_MEASURES_NAMES[language]}")
    for measure in made:
        entry = measure.entries[language]
        text.add(4, f"measure {identifier(measure.name)}")
        text.add(5, f"caption: {one_line(entry.name)}")
        text.add(5, f"description: {one_line(entry.definition)}")
        text.add(5, f"displayFolder: {_folder_name(model, measure, language)}")
    text.add(4, "measure as_of")
    text.add(5, f"caption: {_AS_OF_NAMES[language]}")
    return str(text)


_MEASURES_NAMES = {"en": "Measures", "ru": "Показатели", "uk": "Показники"}
_AS_OF_NAMES = {"en": "As of, UTC", "ru": "Данные на, UTC", "uk": "Дані на, UTC"}


def _folder_name(model: BiModel, measure: Measure, language: str) -> str:
    """The report's number and name: R1 Sales KPIs."""
    entry = measure.entries[language]
    table = model.tables.get(entry.table_name or "")
    name = table.names.get(language, "") if table else ""
    return one_line(f"{entry.report or ''} {name}") or _folder(measure)


def _readme(model: BiModel, name: str, made: Sequence[Measure], left_out: Sequence[LeftOut]) -> str:
    inactive = [one for one in model.relationships if not one.is_active]
    undated = [table for table in model.tables.values() if _is_outside_the_calendar(model, table)]
    hidden = sorted(table for table, said in secured(model).items() if said == "FALSE()")
    lines = [
        f"# {name}",
        "",
        "Made by `make powerbi` from dbt's manifest; changes in these files are lost with the next "
        "one. Keep reports of your own in another project that connects to the published model.",
        "",
        f"{len(model.tables)} tables, {len(made) + 1} measures, {len(model.relationships)} "
        f"relationships, {len(inactive)} of them inactive: a second way to the same table would be "
        "ambiguous.",
        "",
        "A measure is blank, not 0, where nothing was counted. Cumulative measures say the value "
        "of the last day of the dates that are chosen.",
        "",
        "## Metrics of the semantic layer that are no measure",
        "",
        *(f"- `{one.name}`: {one.reason}." for one in left_out),
        "",
        f"## Role {ROLE}",
        "",
        f"Sees what belongs to the employee whom `{VIEWERS}` names for the e-mail that "
        "`USERPRINCIPALNAME()` gives. Without the file nobody in the role sees anything. Name the "
        "account that stands for the person (`employee_key` = `person_key` in `dim_employees`).",
        "",
        "`qualified` and `requests_handled` count by another employee than the request's own: in "
        "the role only requests that are the viewer's by both.",
        "",
        "Hidden from the role, for their rows belong to no one person:",
        "",
        *(f"- `{table}`" for table in hidden if table != VIEWERS),
        "",
        "## Tables that the calendar does not filter",
        "",
        f"They have days and no active relationship to `{DATES[0]}`: a slicer over it leaves them "
        "as they are. Filter days of their own.",
        "",
        *(f"- `{table.name}`: {', '.join(map('`{}`'.format, _days(table)))}" for table in undated),
        "",
        "## Inactive relationships",
        "",
        *(
            f"- `{one.from_table}.{one.from_column}` to `{one.to_table}.{one.to_column}`"
            for one in inactive
        ),
    ]
    return "\n".join(lines) + "\n"


def _days(table: Table) -> list[str]:
    return [name for name, one in table.columns.items() if one.data_type == "date"]


def _is_outside_the_calendar(model: BiModel, table: Table) -> bool:
    is_linked = model.active_to(table.name, DATES[0]) is not None
    return bool(_days(table)) and not table.is_dimension and not is_linked
