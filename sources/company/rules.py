"""The company's own rules: `company.toml` and csv files, validated before anything runs.

Rules are data. They are loaded into `raw_company` and read by the models from there, so that a bare
dbt build, Dagster and BI see the same thresholds. Definitions of each rule: docs/company-rules.md.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import tomllib
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

import phonenumbers
from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sources.connection import source_key
from sources.errors import InputError

BUILT_IN_SEGMENTS = ("all", "talker", "department", "source", "pipeline")
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

CrmSystem = Literal["bitrix24", "amocrm"]
CRM_SYSTEMS: tuple[CrmSystem, ...] = get_args(CrmSystem)
PipelineRole = Literal["sales", "setter", "service", "ignore"]
StageRole = Literal["key", "qualified", "appointment", "proposal", "contract", "invoice", "payment"]


def _known_zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError("is not an IANA time zone such as Europe/Moscow")
    return name


def _known_region(name: str) -> str:
    if name not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("is not a two-letter region such as RU")
    return name


def _free_segment(name: str) -> str:
    if not re.match(NAME_PATTERN, name) or name in BUILT_IN_SEGMENTS:
        raise ValueError(
            "must be lower-case letters, digits and _, and none of the built-in segments "
            + ", ".join(BUILT_IN_SEGMENTS)
        )
    return name


def _cron(text: str) -> str:
    if not croniter.is_valid(text) or len(text.split()) != 5:
        raise ValueError("is not a cron expression of five fields")
    return text


def _by_system(field: object) -> object:
    """A field's name alone is its name in every system."""
    if isinstance(field, str):
        return dict.fromkeys(CRM_SYSTEMS, field)
    if not isinstance(field, dict):
        raise ValueError("must be the name of a custom field, or {bitrix24 = …, amocrm = …}")
    return field


_SegmentFields = Annotated[
    dict[CrmSystem, Annotated[str, Field(min_length=1)]], BeforeValidator(_by_system)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CompanySection(_Strict):
    """Who the company is and in which zone its days begin."""

    name: str = Field(min_length=1)
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    language: Literal["en", "ru", "uk"] = "en"
    currency: str = Field(default="RUB", pattern=r"^[A-Z]{3}$")
    phone_region: Annotated[str, AfterValidator(_known_region)] = "RU"


class ScheduleSection(_Strict):
    """When `daily_refresh` runs, in the company's zone."""

    cron: Annotated[str, AfterValidator(_cron)] = "0 5 * * *"


class CallsSection(_Strict):
    """Thresholds of calls; what each means stands in docs/company-rules.md."""

    successful_call_seconds: int = Field(default=40, ge=0, le=3600)
    call_starts_card_minutes: int = Field(default=60, ge=0, le=10_080)
    after_close_days: int = Field(default=30, ge=0, le=3650)


class PublishSection(_Strict):
    """What publishing keeps."""

    keep_generations: int = Field(default=3, ge=1, le=365)


class ConnectionSection(_Strict):
    """One account of one system: what every system has."""

    talk_basis: Literal["talk", "total", "unknown"] = "unknown"
    portal_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """Where links to cards lead; by default the host that the secrets name."""
    loss_threshold_share: float = Field(default=0.05, ge=0, le=1)
    """More rows of an entity gone at once than this share, and than 20, stop the load."""


class Bitrix24Section(ConnectionSection):
    """One Bitrix24 portal."""

    smart_processes: list[Annotated[int, Field(ge=128)]] = []
    """Entity type ids of the smart processes to read."""
    requests_per_second: float = Field(default=2, ge=0, le=100)
    request_burst: int = Field(default=50, ge=3, le=10_000)
    """The portal's limit: 2 and 50, on the Enterprise plan 5 and 250; 0 where there is none."""
    owners_per_load: int = Field(default=50_000, ge=0)
    """Cards, calls and tasks of each kind whose details one load asks for."""


class AmocrmSection(ConnectionSection):
    """One amoCRM or Kommo account."""

    requests_per_second: float = Field(default=7, ge=0, le=50)
    """The limit of one integration; 0 where there is none."""
    source_field: str | None = Field(default=None, min_length=1)
    """Id or code of the leads' custom field that names the source; before utm_source and tags."""
    tag_sources: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = {}
    """Tag of a lead to the source it stands for, where neither field names one."""


_ConnectionName = Annotated[str, Field(pattern=NAME_PATTERN)]


class ConnectionsSection(_Strict):
    """The accounts of the company, by system and connection name."""

    bitrix24: dict[_ConnectionName, Bitrix24Section] = {}
    amocrm: dict[_ConnectionName, AmocrmSection] = {}

    def of(self, system: CrmSystem) -> Mapping[str, ConnectionSection]:
        """A system's connections by name."""
        return self.bitrix24 if system == "bitrix24" else self.amocrm


class NamedConnection(NamedTuple):
    """A connection with its place in the rules."""

    system: CrmSystem
    name: str
    section: ConnectionSection

    @property
    def source_key(self) -> str:
        """`<system>:<name>`, part of every key."""
        return source_key(self.system, self.name)


class CompanyRules(_Strict):
    """`company.toml`, whole."""

    company: CompanySection
    schedule: ScheduleSection = ScheduleSection()
    calls: CallsSection = CallsSection()
    publish: PublishSection = PublishSection()
    connections: ConnectionsSection
    segments: dict[Annotated[str, AfterValidator(_free_segment)], _SegmentFields] = {}
    """Segment to the custom field of deals that holds it, by system."""

    def all_connections(self) -> Iterator[NamedConnection]:
        """Every connection of every system."""
        for system in CRM_SYSTEMS:
            for name, section in self.connections.of(system).items():
                yield NamedConnection(system, name, section)


class _CsvRow(_Strict):
    """A row of a csv file; `key_columns` may not stand twice."""

    key_columns: ClassVar[tuple[str, ...]]

    connection: str
    """In the file a connection's name or source key, once read its source key."""
    line: int
    """Of the csv file, for messages."""


class PipelineRow(_CsvRow):
    """`pipelines.csv`: what a pipeline is for; unlisted pipelines are `sales`."""

    key_columns = ("connection", "pipeline_id")

    pipeline_id: int
    role: PipelineRole


class StageRow(_CsvRow):
    """`stages.csv`: one role of one stage; a stage may have several rows."""

    key_columns = ("connection", "pipeline_id", "stage_id", "role")

    pipeline_id: int
    stage_id: str = Field(min_length=1)
    role: StageRole


class DismissalRow(_CsvRow):
    """`dismissals.csv`: the first day an employee was no longer employed."""

    key_columns = ("connection", "employee_id")

    employee_id: int
    dismissed_on: dt.date


class EmployeeRow(_CsvRow):
    """`employees.csv`: who stands behind an id that the system doesn't name."""

    key_columns = ("connection", "employee_id")

    employee_id: int
    employee_name: str = Field(min_length=1)
    department: str


class Company(BaseModel):
    """A company's folder, read and validated."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    key: str
    rules: CompanyRules
    pipelines: tuple[PipelineRow, ...] = ()
    stages: tuple[StageRow, ...] = ()
    dismissals: tuple[DismissalRow, ...] = ()
    employees: tuple[EmployeeRow, ...] = ()


RowT = TypeVar("RowT", bound=_CsvRow)


def read_company(folder: Path) -> Company:
    """Read `companies/<name>/`.

    Raises:
        InputError: a file is missing, has an unknown key or column, or a value of the wrong type;
            the message names file and line.
    """
    if not folder.is_dir():
        known = sorted(p.parent.name for p in folder.parent.glob("*/company.toml"))
        raise InputError(
            f"There is no company folder companies/{folder.name}; known companies: "
            f"{', '.join(known) or 'none'}. Set CALLFUNNEL_COMPANY or make the folder."
        )
    if not re.match(NAME_PATTERN, folder.name):
        raise InputError(
            f"companies/{folder.name}: a company's folder is named with lower-case letters, "
            "digits and _ (it becomes part of asset keys)."
        )
    rules = _read_toml(folder / "company.toml")
    connections = _source_keys(rules)
    return Company(
        key=folder.name,
        rules=rules,
        pipelines=_read_csv(folder / "pipelines.csv", PipelineRow, connections),
        stages=_read_csv(folder / "stages.csv", StageRow, connections),
        dismissals=_read_csv(folder / "dismissals.csv", DismissalRow, connections),
        employees=_read_csv(folder / "employees.csv", EmployeeRow, connections),
    )


def _source_keys(rules: CompanyRules) -> dict[str, str | None]:
    """What csv files may call a connection: its source key, or its name if no other has it.

    A name that several systems use maps to None.
    """
    keys: dict[str, str | None] = {}
    for connection in rules.all_connections():
        keys[connection.name] = None if connection.name in keys else connection.source_key
    return keys | {found.source_key: found.source_key for found in rules.all_connections()}


def _read_toml(path: Path) -> CompanyRules:
    shown = f"companies/{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        # Strict: TOML has types of its own, and `true` or "40" is not the number 40.
        return CompanyRules.model_validate(tomllib.loads(text), strict=True)
    except FileNotFoundError:
        raise InputError(f"{shown} is missing: copy companies/demo/company.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        line = _line_of(text, first["loc"])
        place = f", line {line}" if line else ""
        name = ".".join(str(step) for step in first["loc"] if step != "[key]")
        raise InputError(f"{shown}{place}: {name}: {_problem(first)}") from None


def _read_csv(
    path: Path, form: type[RowT], connections: Mapping[str, str | None]
) -> tuple[RowT, ...]:
    if not path.exists():
        return ()
    shown = f"companies/{path.parent.name}/{path.name}"
    rows: dict[tuple[object, ...], tuple[RowT, int]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            expected = [name for name in form.model_fields if name != "line"]
            if sorted(header) != sorted(expected):
                raise InputError(
                    f"{shown}, line 1: the columns must be {','.join(expected)}, found "
                    f"{','.join(header)}"
                )
            for cells in filter(None, reader):
                place = f"{shown}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise InputError(f"{place}: {len(cells)} values for {len(header)} columns")
                given = dict(zip(header, cells, strict=True)) | {"line": str(reader.line_num)}
                row = _read_row(place, given, form, connections)
                key = tuple(getattr(row, column) for column in row.key_columns)
                if key in rows:
                    raise InputError(
                        f"{place}: {', '.join(map(str, key))} stands in line {rows[key][1]} already"
                    )
                rows[key] = row, reader.line_num
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8: save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(
            f"{shown}, line {reader.line_num}: is not readable as csv ({error})"
        ) from None
    return tuple(row for row, _ in rows.values())


def _read_row(
    place: str, cells: dict[str, str], form: type[RowT], connections: Mapping[str, str | None]
) -> RowT:
    try:
        row = form.model_validate(cells)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{place}, column {first['loc'][0]}: {_problem(first)}") from None
    if row.connection not in connections:
        raise InputError(f"{place}: company.toml has no connection {row.connection!r}")
    found = connections[row.connection]
    if found is None:
        systems = [key for key in connections if key.endswith(f":{row.connection}")]
        raise InputError(
            f"{place}: several systems have a connection {row.connection!r}: write "
            f"{' or '.join(systems)}"
        )
    return row.model_copy(update={"connection": found})


def _problem(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    if error["type"] == "missing":
        return "is required"
    return f"{error['msg'].removeprefix('Value error, ')} (found {error['input']!r})"


def _line_of(text: str, location: Sequence[int | str]) -> int | None:
    """The line of a key in a TOML text; tomllib keeps no positions."""
    steps = [str(step) for step in location if step != "[key]"]
    lines = text.splitlines()
    for depth in range(len(steps), 0, -1):
        table, key = ".".join(steps[: depth - 1]), steps[depth - 1]
        current = ""
        for number, line in enumerate(lines, start=1):
            header = re.match(r"\s*\[([^\]]+)\]", line)
            if header:
                current = header.group(1).strip()
                if f"{current}.".startswith(".".join(steps[:depth]) + "."):
                    return number
            elif current == table and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
    return None
