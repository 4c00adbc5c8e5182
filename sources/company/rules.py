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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

import phonenumbers
from croniter import croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sources.connection import PBX_SYSTEMS, PbxSystem, source_key
from sources.errors import InputError
from sources.masking import Treatment

BUILT_IN_SEGMENTS = ("all", "talker", "department", "source", "pipeline")
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

CrmSystem = Literal["bitrix24", "amocrm"]
CRM_SYSTEMS: tuple[CrmSystem, ...] = get_args(CrmSystem)
System = CrmSystem | PbxSystem
PipelineRole = Literal["sales", "setter", "service", "ignore"]
CallResult = Literal[
    "answered", "missed", "busy", "cancelled", "wrong_number", "failed", "voicemail"
]
TalkBasis = Literal["talk", "total", "unknown"]
SharedLines = Literal["count", "hold_back", "spread"]
StageRole = Literal["key", "qualified", "appointment", "proposal", "contract", "invoice", "payment"]
Period = Literal["day", "week", "month", "quarter", "year"]
CardField = Literal["owner", "client", "source", "grade", "product"]

LEADS_PIPELINE_ID = -1
"""Leads stand in a pipeline of their own: dbt's macro leads_pipeline_id()."""

METRIC_NAMES = Path(__file__).parents[2] / "transform" / "seeds" / "metric_names.csv"
"""What goals and norms may be set for; dbt's seed, so that models know the same names."""


QUALITY_RULES = METRIC_NAMES.with_name("data_quality_rules.csv")
"""Which quality rules there are; dbt's seed."""


# 17 ms each time, and every connection of a company may name one.
_known_zones = cache(zoneinfo.available_timezones)


def _known_zone(name: str) -> str:
    if name not in _known_zones():
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


@cache
def metric_names() -> tuple[str, ...]:
    """Metrics that goals and norms may name, in the order of the seed."""
    with METRIC_NAMES.open(newline="", encoding="utf-8") as file:
        return tuple(row["metric_name"] for row in csv.DictReader(file))


@cache
def rule_ids() -> tuple[str, ...]:
    """Quality rules whose findings can be accepted, in the order of the seed."""
    with QUALITY_RULES.open(newline="", encoding="utf-8") as file:
        return tuple(row["rule_id"] for row in csv.DictReader(file))


def _known_rule(name: str) -> str:
    if name not in rule_ids():
        raise ValueError(f"is not a quality rule: one of {', '.join(rule_ids())}")
    return name


def _known_metric(name: str) -> str:
    if name not in metric_names():
        raise ValueError(f"is not a metric: one of {', '.join(metric_names())}")
    return name


def _stage_of_a_pipeline(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"-?\d{1,18}:.+", text):
        raise ValueError("must be <pipeline_id>:<stage_id>, such as 0:NEW or 1:C1:PREPARATION")
    return text


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


def _hours(text: str) -> str:
    working_minutes(text)
    return text


def working_minutes(hours: str) -> tuple[int, int] | None:
    """Begin and end of `09:00-18:00` in minutes since midnight; None for the empty text, a day off.

    Raises:
        ValueError: the text is neither.
    """
    if not hours:
        return None
    found = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", hours)
    if found is None:
        raise ValueError('must be hours such as 09:00-18:00, or "" for a day off')
    first_hour, first_minute, last_hour, last_minute = map(int, found.groups())
    begin, end = 60 * first_hour + first_minute, 60 * last_hour + last_minute
    if not begin < end <= 24 * 60:
        raise ValueError("must end after they begin, on the same day")
    return begin, end


_Hours = Annotated[str, AfterValidator(_hours)]
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
    late_hours: int = Field(default=6, ge=1, le=720)
    """So many hours after the longest pause of the schedule an asset is stale."""


class CallsSection(_Strict):
    """Thresholds of calls; what each means stands in docs/company-rules.md."""

    successful_call_seconds: int = Field(default=40, ge=0, le=3600)
    call_starts_card_minutes: int = Field(default=60, ge=0, le=10_080)
    after_close_days: int = Field(default=30, ge=0, le=3650)
    callback_hours: int = Field(default=24, ge=1, le=720)
    contact_seconds: int = Field(default=10, ge=0, le=3600)
    shared_lines: SharedLines = "count"
    """What reports do with calls on an extension that several employees hold."""


class WorkingHoursSection(_Strict):
    """When the company works, in its zone; single days depart from it in `calendar.csv`."""

    monday: _Hours = "09:00-18:00"
    tuesday: _Hours = "09:00-18:00"
    wednesday: _Hours = "09:00-18:00"
    thursday: _Hours = "09:00-18:00"
    friday: _Hours = "09:00-18:00"
    saturday: _Hours = ""
    sunday: _Hours = ""


class QualitySection(_Strict):
    """Thresholds of quality rules; what each means stands in docs/company-rules.md."""

    mass_move_cards: int = Field(default=20, ge=2, le=100_000)
    mass_move_minutes: int = Field(default=5, ge=1, le=1440)
    required_card_fields: list[CardField] = []
    """What every open and every won card must have (Q11)."""
    long_call_hours: float = Field(default=4, gt=0, le=24)
    duplicate_call_seconds: int = Field(default=5, ge=0, le=90)
    method_share_move: float = Field(default=0.1, gt=0, le=1)
    unknown_number_share: float = Field(default=0.5, gt=0, le=1)
    share_calls_min: int = Field(default=50, ge=1, le=100_000)
    stale_hours: int = Field(default=36, ge=1, le=8760)
    usual_rows_min: int = Field(default=10, ge=1, le=1_000_000)

    @property
    def of_models(self) -> dict[str, int]:
        """Thresholds that facts depend on, not only findings."""
        return {
            "mass_move_cards": self.mass_move_cards,
            "mass_move_minutes": self.mass_move_minutes,
        }

    @property
    def of_findings(self) -> dict[str, object]:
        """Thresholds that only findings depend on."""
        return {
            name: value
            for name, value in self.model_dump().items()
            if name not in self.of_models and name != "required_card_fields"
        }


class ReportsSection(_Strict):
    """Thresholds of reports; what each means stands in docs/company-rules.md."""

    forgotten_days: int = Field(default=20, ge=1, le=3650)
    open_cards_limit: int = Field(default=60, ge=1, le=100_000)
    health_cards_min: int = Field(default=20, ge=1, le=100_000)
    turbulence_share: float = Field(default=0.15, gt=0, le=1)
    accumulation_factor: float = Field(default=2, gt=0, le=100)
    accumulation_share: float = Field(default=0.4, gt=0, le=1)
    insufficiency_share: float = Field(default=0.8, gt=0, le=10)
    graveyard_share: float = Field(default=0.2, gt=0, le=1)
    graveyard_days: int = Field(default=30, ge=1, le=3650)
    signal_cases_min: int = Field(default=20, ge=1, le=100_000)
    short_call_seconds: int = Field(default=20, ge=1, le=3600)
    short_calls_factor: float = Field(default=2, gt=0, le=100)
    record_months_min: int = Field(default=6, ge=1, le=120)
    few_calls_share: float = Field(default=0.7, gt=0, le=1)
    many_wins_share: float = Field(default=1.2, gt=0, le=100)
    trace_minutes: int = Field(default=60, ge=1, le=10_080)
    untraced_factor: float = Field(default=1.5, gt=0, le=100)
    canned_repeats: int = Field(default=5, ge=2, le=1000)
    canned_share: float = Field(default=0.5, gt=0, le=1)
    alarm_drop_share: float = Field(default=0.3, gt=0, le=1)
    asleep_days: int = Field(default=90, ge=1, le=3650)
    next_deal_days: int = Field(default=90, ge=0, le=3650)


class PublishSection(_Strict):
    """What publishing keeps and shows; what each means stands in docs/publishing.md."""

    keep_generations: int = Field(default=3, ge=1, le=365)
    contacts_in_postgres: bool = True
    """Registers with numbers to dial, in the schema `marts_contacts` for `bi_sales` alone."""
    contacts_in_files: bool = False
    """The same as parquet in the publication's folder `contacts`."""
    columns: dict[
        Annotated[str, Field(pattern=r"^(dim|fct|metric)_[a-z0-9_]+\.[a-z][a-z0-9_]*$")], Treatment
    ] = {}
    """What is published of a personal column, `<table>.<column>`, instead of the default."""


class UpkeepSection(_Strict):
    """When the upkeep runs, in the company's zone, and what it leaves."""

    cron: Annotated[str, AfterValidator(_cron)] = "0 3 * * 0"
    keep_days: int = Field(default=30, ge=7, le=3650)
    """Runs, logs and packages that are older go."""


class CrmSection(_Strict):
    """One account of one CRM: what every CRM has."""

    tells_missed_calls: ClassVar[bool]
    """Whether the system itself has the calls that nobody answered."""
    talk_basis: TalkBasis = "unknown"
    portal_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """Where links to cards lead; by default the host that the secrets name."""
    retired_pipelines: list[int] = []
    """Ids of pipelines that were removed in the CRM on purpose (Q4)."""
    loss_threshold_share: float = Field(default=0.05, ge=0, le=1)
    """More rows of an entity gone at once than this share, and than 20, stop the load."""


class Bitrix24Section(CrmSection):
    """One Bitrix24 portal."""

    tells_missed_calls = True
    smart_processes: list[Annotated[int, Field(ge=128)]] = []
    """Entity type ids of the smart processes to read."""
    requests_per_second: float = Field(default=2, ge=0, le=100)
    request_burst: int = Field(default=50, ge=3, le=10_000)
    """The portal's limit: 2 and 50, on the Enterprise plan 5 and 250; 0 where there is none."""
    owners_per_load: int = Field(default=50_000, ge=0)
    """Cards, calls and tasks of each kind whose details one load asks for."""


class AmocrmSection(CrmSection):
    """One amoCRM or Kommo account."""

    tells_missed_calls = False
    requests_per_second: float = Field(default=7, ge=0, le=50)
    """The limit of one integration; 0 where there is none."""
    source_field: str | None = Field(default=None, min_length=1)
    """Id or code of the leads' custom field that names the source; before utm_source and tags."""
    tag_sources: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = {}
    """Tag of a lead to the source it stands for, where neither field names one."""


class PbxSection(_Strict):
    """One telephony system: what every one has."""

    crm: str | None = None
    """The CRM connection whose cards and people its calls belong to, by name or source key; not
    needed where the company has one CRM connection."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    """Of the times that it prints without one; the company's zone by default."""
    first_day: dt.date | None = None
    """From when on calls are read; by default as long ago as the provider keeps them."""
    trailing_days: int = Field(default=3, ge=0, le=60)
    """So many days before the last load are read again: calls that were under way, late legs."""


class AsteriskSection(PbxSection):
    """The call detail records of one Asterisk or FreePBX."""

    table: str = Field(default="cdr", pattern=r"^\w+(\.\w+)?$")
    """The table of the records, in the database that the secrets name."""
    file: str | None = Field(default=None, min_length=1)
    """`Master.csv` instead of a database: a path, relative to the company's data folder."""
    internal_digits: int = Field(default=5, ge=2, le=8)
    """Numbers of at most so many digits are extensions."""


class MangoSection(PbxSection):
    """One Mango Office account."""


class UisSection(PbxSection):
    """One UIS, CoMagic or CallGear account."""


class MegafonSection(PbxSection):
    """One MegaFon virtual PBX."""


class ZadarmaSection(PbxSection):
    """One Zadarma account."""


class BinotelSection(PbxSection):
    """One Binotel account."""


class RingostatSection(PbxSection):
    """One Ringostat project."""


class GenericColumns(_Strict):
    """Columns of a table of calls, by what they mean; only the first two are required."""

    call_id: str = Field(min_length=1)
    started_at: str = Field(min_length=1)
    link_id: str | None = None
    """The id that the CRM's row of the same call carries."""
    direction: str | None = None
    result: str | None = None
    client_phone: str | None = None
    line: str | None = None
    extension: str | None = None
    talker_name: str | None = None
    wait_seconds: str | None = None
    talk_seconds: str | None = None
    total_seconds: str | None = None
    recording_url: str | None = None


class GenericSection(PbxSection):
    """A table of calls that any telephony exports."""

    file: str | None = Field(default=None, min_length=1)
    """`.csv` or `.parquet`, a path relative to the company's data folder; `*` is allowed."""
    table: str | None = Field(default=None, pattern=r"^\w+(\.\w+)?$")
    """A table or view of the database that the secrets name, instead of a file."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """Of csv files."""
    columns: GenericColumns
    directions: dict[str, Literal["inbound", "outbound", "internal"]] = {}
    """What the texts of the column `direction` mean."""
    results: dict[str, CallResult] = {}
    """What the texts of the column `result` mean."""

    @model_validator(mode="after")
    def _has_one_place(self) -> GenericSection:
        if (self.file is None) == (self.table is None):
            raise ValueError("needs either file or table")
        return self


_ConnectionName = Annotated[str, Field(pattern=NAME_PATTERN)]


class ConnectionsSection(_Strict):
    """The accounts of the company, by system and connection name."""

    bitrix24: dict[_ConnectionName, Bitrix24Section] = {}
    amocrm: dict[_ConnectionName, AmocrmSection] = {}
    asterisk: dict[_ConnectionName, AsteriskSection] = {}
    mango: dict[_ConnectionName, MangoSection] = {}
    uis: dict[_ConnectionName, UisSection] = {}
    megafon: dict[_ConnectionName, MegafonSection] = {}
    zadarma: dict[_ConnectionName, ZadarmaSection] = {}
    binotel: dict[_ConnectionName, BinotelSection] = {}
    ringostat: dict[_ConnectionName, RingostatSection] = {}
    generic: dict[_ConnectionName, GenericSection] = {}


class CrmConnection(NamedTuple):
    """A CRM connection with its place in the rules."""

    system: CrmSystem
    name: str
    section: CrmSection

    @property
    def source_key(self) -> str:
        """`<system>:<name>`, part of every key."""
        return source_key(self.system, self.name)


class PbxConnection(NamedTuple):
    """A telephony connection with its place in the rules."""

    system: PbxSystem
    name: str
    section: PbxSection

    @property
    def source_key(self) -> str:
        """`<system>:<name>`, part of every key."""
        return source_key(self.system, self.name)


Connection = CrmConnection | PbxConnection


class CompanyRules(_Strict):
    """`company.toml`, whole."""

    company: CompanySection
    schedule: ScheduleSection = ScheduleSection()
    calls: CallsSection = CallsSection()
    working_hours: WorkingHoursSection = WorkingHoursSection()
    publish: PublishSection = PublishSection()
    upkeep: UpkeepSection = UpkeepSection()
    quality: QualitySection = QualitySection()
    reports: ReportsSection = ReportsSection()
    connections: ConnectionsSection
    segments: dict[Annotated[str, AfterValidator(_free_segment)], _SegmentFields] = {}
    """Segment to the custom field of deals that holds it, by system."""

    def all_connections(self) -> Iterator[Connection]:
        """Every connection of every system."""
        yield from self.crm_connections()
        yield from self.pbx_connections()

    def crm_connections(self) -> Iterator[CrmConnection]:
        """Every connection of every CRM."""
        for system in CRM_SYSTEMS:
            for name, section in getattr(self.connections, system).items():
                yield CrmConnection(system, name, section)

    def pbx_connections(self) -> Iterator[PbxConnection]:
        """Every connection of every telephony."""
        for system in PBX_SYSTEMS:
            for name, section in getattr(self.connections, system).items():
                yield PbxConnection(system, name, section)

    def crm_of(self, pbx: PbxConnection) -> str | None:
        """The source key of the CRM connection that a telephony is tied to.

        None: the company has no CRM.

        Raises:
            ValueError: the tie names no CRM connection, or none though there are several.
        """
        known = [found.source_key for found in self.crm_connections()]
        asked = pbx.section.crm
        if asked is None:
            if len(known) > 1:
                raise ValueError(f"is required: one of {', '.join(known)}")
            return known[0] if known else None
        found = [key for key in known if asked in (key, key.partition(":")[2])]
        if len(found) != 1:
            raise ValueError(f"names no CRM connection: one of {', '.join(known) or 'none'}")
        return found[0]


_empty_is_none = BeforeValidator(lambda text: text or None)
_OptionalDate = Annotated[dt.date | None, _empty_is_none]
_OptionalText = Annotated[str | None, _empty_is_none]
_OptionalInteger = Annotated[int | None, _empty_is_none]
_OptionalName = Annotated[str | None, BeforeValidator(lambda text: text.strip() or None)]
_Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=2)]
_CURRENCY_PATTERN = r"^[A-Z]{3}$"


class _CsvRow(_Strict):
    """A row of a csv file; `key_columns` may not stand twice, `optional_columns` may be missing."""

    key_columns: ClassVar[tuple[str, ...]]
    optional_columns: ClassVar[tuple[str, ...]] = ()
    connects_to: ClassVar[Literal["crm", "pbx", "any"]] = "crm"

    line: int
    """Of the csv file, for messages."""

    def key(self) -> tuple[object, ...] | None:
        """What may not stand twice; None: nothing of this row."""
        return tuple(getattr(self, column) for column in self.key_columns)


class _ConnectionRow(_CsvRow):
    """A row about a record of one connection."""

    connection: str
    """In the file a connection's name or source key, once read its source key."""


class PipelineRow(_ConnectionRow):
    """`pipelines.csv`: what a pipeline is for; unlisted pipelines are `sales`."""

    key_columns = ("connection", "pipeline_id")

    pipeline_id: int
    role: PipelineRole


class StageRow(_ConnectionRow):
    """`stages.csv`: one role of one stage; a stage may have several rows."""

    key_columns = ("connection", "pipeline_id", "stage_id", "role")

    pipeline_id: int
    stage_id: str = Field(min_length=1)
    role: StageRole


class DismissalRow(_ConnectionRow):
    """`dismissals.csv`: the first day an employee was no longer employed."""

    key_columns = ("connection", "employee_id")

    employee_id: int
    dismissed_on: dt.date


class DepartmentHeadRow(_ConnectionRow):
    """`department_heads.csv`: who heads a department; wins over what the system says."""

    key_columns = ("connection", "department")

    department: str = Field(min_length=1)
    """Its name."""
    employee_id: int


class AcceptedFindingRow(_CsvRow):
    """`accepted_findings.csv`: a finding that a person has looked at and takes on until a day."""

    key_columns = ("rule", "connection", "entity", "record")
    optional_columns = ("entity",)
    connects_to = "any"

    rule: Annotated[str, AfterValidator(_known_rule)]
    connection: _OptionalText
    """Empty: what is of no single connection."""
    entity: _OptionalText = None
    """As the register names it; empty: whatever the record is."""
    record: str = Field(min_length=1)
    """As the register names it (`record_id`)."""
    until_on: dt.date
    """The last day on which it stops nothing."""
    who: str = Field(min_length=1)
    why: str = Field(min_length=1)


class EmployeeRow(_ConnectionRow):
    """`employees.csv`: who stands behind an id that the system doesn't name, or behind several."""

    key_columns = ("connection", "employee_id")
    optional_columns = ("person",)

    employee_id: int
    employee_name: str = Field(min_length=1)
    department: str
    person: _OptionalName = None
    """Rows with the same text, without spaces around it, are accounts of one person."""


class ExtensionRow(_ConnectionRow):
    """`extensions.csv`: whose an extension of a telephony is, and when it was."""

    key_columns = ("connection", "extension", "employee_id", "from_on")
    connects_to = "pbx"

    extension: str = Field(min_length=1)
    employee_id: int
    """In the CRM connection that the telephony is tied to."""
    from_on: _OptionalDate
    """First day; empty: always."""
    until_on: _OptionalDate
    """First day on which it is no longer theirs; empty: still is."""


class TalkerRow(_ConnectionRow):
    """`talkers.csv`: who a name is that a telephony gives to a talker."""

    key_columns = ("connection", "talker_name")
    connects_to = "pbx"

    talker_name: str = Field(min_length=1)
    employee_id: int
    """In the CRM connection that the telephony is tied to."""


class CalendarRow(_CsvRow):
    """`calendar.csv`: a day on which the company works otherwise than `[working_hours]` says."""

    key_columns = ("date_day",)

    date_day: dt.date
    working_hours: _Hours
    """Such as `10:00-16:00`; empty: a day off."""


class SellerRow(_CsvRow):
    """`sellers.csv`: whom rankings, medians, norms and dense rows are about."""

    key_columns = ("connection", "employee_id", "department")

    connection: _OptionalText
    """Of the employee."""
    employee_id: _OptionalInteger
    department: _OptionalText
    """Its name, in any system: whoever is in it, or in one below it."""

    @model_validator(mode="after")
    def _is_one(self) -> SellerRow:
        if (self.employee_id is None) == (self.department is None):
            raise ValueError("names either an employee or a department")
        if (self.employee_id is None) != (self.connection is None):
            raise ValueError("a connection stands with an employee_id, and only there")
        return self


class CurrencyRateRow(_CsvRow):
    """`currency_rates.csv`: what a currency is worth from a day on."""

    key_columns = ("currency", "valid_from")

    currency: str = Field(pattern=_CURRENCY_PATTERN)
    valid_from: dt.date
    """First day; the rate holds until the next row of the currency."""
    rate: Decimal = Field(gt=0, max_digits=18, decimal_places=8)
    """Units of the company's currency for one unit."""


class AbsenceRow(_ConnectionRow):
    """`absences.csv`: days on which an employee does not work."""

    key_columns = ("connection", "employee_id", "from_on")

    employee_id: int
    from_on: dt.date
    until_on: dt.date
    """First day back at work."""

    @model_validator(mode="after")
    def _has_a_day(self) -> AbsenceRow:
        if self.until_on <= self.from_on:
            raise ValueError(f"until_on must be after from_on ({self.from_on})")
        return self


class OwnerRow(_ConnectionRow):
    """`owners.csv`: who owned a deal, whatever the system says."""

    key_columns = ("connection", "deal_id", "owned_from")

    deal_id: int
    employee_id: int
    owned_from: _OptionalDate
    """First day; empty: from the deal's creation on."""


class PaymentRow(_ConnectionRow):
    """`payments.csv`: money received for a deal."""

    key_columns = ("connection", "payment_id")

    deal_id: int
    paid_on: dt.date
    amount: _Amount
    currency: Annotated[Annotated[str, Field(pattern=_CURRENCY_PATTERN)] | None, _empty_is_none]
    """Empty: the company's."""
    payment_id: _OptionalText

    def key(self) -> tuple[object, ...] | None:
        """Payments without an id may be alike."""
        return super().key() if self.payment_id else None


class MarketingCostRow(_ConnectionRow):
    """`marketing_costs.csv`: what was spent to bring requests, spread evenly over its days."""

    key_columns = (
        "connection",
        "source",
        "utm_source",
        "utm_medium",
        "utm_campaign",
        "from_on",
        "until_on",
    )

    source: _OptionalText
    """As reports name it."""
    utm_source: _OptionalText
    utm_medium: _OptionalText
    utm_campaign: _OptionalText
    from_on: dt.date
    until_on: dt.date
    """First day after it."""
    amount: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=2)]
    currency: Annotated[Annotated[str, Field(pattern=_CURRENCY_PATTERN)] | None, _empty_is_none]
    """Empty: the company's."""

    @model_validator(mode="after")
    def _has_days_and_a_purpose(self) -> MarketingCostRow:
        if self.until_on <= self.from_on:
            raise ValueError(f"until_on must be after from_on ({self.from_on})")
        if not (self.source or self.utm_source or self.utm_medium or self.utm_campaign):
            raise ValueError("names a source or a UTM tag, or both")
        return self


def _leads_or_id(text: object) -> object:
    return LEADS_PIPELINE_ID if text == "leads" else text


class JourneyStepRow(_ConnectionRow):
    """`journey_steps.csv`: where a step of the through funnel stands; a step may have several."""

    key_columns = ("connection", "funnel", "step_number", "pipeline_id", "stage_id")

    funnel: str = Field(min_length=1)
    step_number: int = Field(ge=1, le=100)
    step_name: str = Field(min_length=1)
    pipeline_id: Annotated[int, BeforeValidator(_leads_or_id)]
    """`leads`: the leads."""
    stage_id: _OptionalText
    """Reached by whoever came to it or further in its pipeline; empty: by whoever came to it."""


class _TargetRow(_CsvRow):
    """What is expected of an employee, a department or the whole company."""

    metric: Annotated[str, AfterValidator(_known_metric)]
    stage: Annotated[_OptionalText, AfterValidator(_stage_of_a_pipeline)]
    """`<pipeline_id>:<stage_id>`, of entries into a stage; empty: into any."""
    connection: _OptionalText
    """Of the employee or the stage."""
    employee_id: _OptionalInteger
    department: _OptionalText
    """Its name, in any system."""
    period: Period
    value: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=2)]

    @model_validator(mode="after")
    def _is_for_one(self) -> _TargetRow:
        if self.stage is not None and self.metric != "stage_entries":
            raise ValueError("a stage stands with the metric stage_entries only")
        if self.employee_id is not None and self.department is not None:
            raise ValueError("is for an employee or for a department, not for both")
        if self.employee_id is not None and self.connection is None:
            raise ValueError("an employee_id needs its connection")
        if self.connection is not None and self.employee_id is None and self.stage is None:
            raise ValueError("a connection stands with an employee_id or a stage only")
        return self

    @property
    def stage_place(self) -> tuple[int | None, str | None]:
        """Pipeline and stage id of `stage`."""
        if self.stage is None:
            return None, None
        pipeline_id, _, stage_id = self.stage.partition(":")
        return int(pipeline_id), stage_id


class GoalRow(_TargetRow):
    """`goals.csv`: what is to be reached in one period."""

    key_columns = (
        "metric",
        "stage",
        "connection",
        "employee_id",
        "department",
        "period",
        "starts_on",
    )

    starts_on: dt.date
    """First day of the period."""

    @model_validator(mode="after")
    def _starts_a_period(self) -> GoalRow:
        day = self.starts_on
        starts = {
            "day": True,
            "week": day.isoweekday() == 1,
            "month": day.day == 1,
            "quarter": day.day == 1 and day.month % 3 == 1,
            "year": (day.month, day.day) == (1, 1),
        }
        if not starts[self.period]:
            raise ValueError(f"starts_on must be the first day of a {self.period} (found {day})")
        return self


class NormRow(_TargetRow):
    """`norms.csv`: what is expected in every period, until the next row about the same."""

    key_columns = (
        "metric",
        "stage",
        "connection",
        "employee_id",
        "department",
        "period",
        "valid_from",
    )

    valid_from: dt.date


class Company(BaseModel):
    """A company's folder, read and validated."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    key: str
    rules: CompanyRules
    pipelines: tuple[PipelineRow, ...] = ()
    stages: tuple[StageRow, ...] = ()
    dismissals: tuple[DismissalRow, ...] = ()
    department_heads: tuple[DepartmentHeadRow, ...] = ()
    accepted_findings: tuple[AcceptedFindingRow, ...] = ()
    employees: tuple[EmployeeRow, ...] = ()
    extensions: tuple[ExtensionRow, ...] = ()
    talkers: tuple[TalkerRow, ...] = ()
    sellers: tuple[SellerRow, ...] = ()
    calendar: tuple[CalendarRow, ...] = ()
    currency_rates: tuple[CurrencyRateRow, ...] = ()
    absences: tuple[AbsenceRow, ...] = ()
    owners: tuple[OwnerRow, ...] = ()
    payments: tuple[PaymentRow, ...] = ()
    marketing_costs: tuple[MarketingCostRow, ...] = ()
    journey_steps: tuple[JourneyStepRow, ...] = ()
    goals: tuple[GoalRow, ...] = ()
    norms: tuple[NormRow, ...] = ()


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
    # Two of them part a company from what is its own: with `a` and `a__b`, runs of the second would
    # be taken for the first's.
    if not re.match(NAME_PATTERN, folder.name) or "__" in folder.name:
        raise InputError(
            f"companies/{folder.name}: a company's folder is named with lower-case letters, "
            "digits and _, never two _ in a row (it becomes part of asset keys and jobs' names)."
        )
    rules = _read_toml(folder / "company.toml")
    crm = _source_keys(rules.crm_connections())
    pbx = _source_keys(rules.pbx_connections())
    currency_rates = _read_csv(folder / "currency_rates.csv", CurrencyRateRow, {})
    for rate in currency_rates:
        if rate.currency == rules.company.currency:
            raise InputError(
                f"companies/{folder.name}/currency_rates.csv, line {rate.line}: {rate.currency} is "
                "the company's own currency and needs no rate"
            )
    journey_steps = _read_csv(folder / "journey_steps.csv", JourneyStepRow, crm)
    _check_journey_steps(f"companies/{folder.name}/journey_steps.csv", journey_steps)
    return Company(
        key=folder.name,
        rules=rules,
        pipelines=_read_csv(folder / "pipelines.csv", PipelineRow, crm),
        stages=_read_csv(folder / "stages.csv", StageRow, crm),
        dismissals=_read_csv(folder / "dismissals.csv", DismissalRow, crm),
        department_heads=_read_csv(folder / "department_heads.csv", DepartmentHeadRow, crm),
        accepted_findings=_read_csv(
            folder / "accepted_findings.csv",
            AcceptedFindingRow,
            _source_keys(rules.all_connections()),
        ),
        employees=_read_csv(folder / "employees.csv", EmployeeRow, crm),
        extensions=_read_csv(folder / "extensions.csv", ExtensionRow, pbx),
        talkers=_read_csv(folder / "talkers.csv", TalkerRow, pbx),
        sellers=_read_csv(folder / "sellers.csv", SellerRow, crm),
        calendar=_read_csv(folder / "calendar.csv", CalendarRow, {}),
        currency_rates=currency_rates,
        absences=_read_csv(folder / "absences.csv", AbsenceRow, crm),
        owners=_read_csv(folder / "owners.csv", OwnerRow, crm),
        payments=_read_csv(folder / "payments.csv", PaymentRow, crm),
        marketing_costs=_read_csv(folder / "marketing_costs.csv", MarketingCostRow, crm),
        journey_steps=journey_steps,
        goals=_read_csv(folder / "goals.csv", GoalRow, crm),
        norms=_read_csv(folder / "norms.csv", NormRow, crm),
    )


def _check_journey_steps(shown: str, rows: Iterable[JourneyStepRow]) -> None:
    """A pipeline is of one funnel, a place in it of one step, and a step has one name."""
    funnels: dict[tuple[str, int], JourneyStepRow] = {}
    places: dict[tuple[str, int, str | None], JourneyStepRow] = {}
    names: dict[tuple[str, str, int], JourneyStepRow] = {}
    for row in rows:
        place = f"{shown}, line {row.line}"
        pipeline = "leads" if row.pipeline_id == LEADS_PIPELINE_ID else str(row.pipeline_id)
        of_funnel = funnels.setdefault((row.connection, row.pipeline_id), row)
        if of_funnel.funnel != row.funnel:
            raise InputError(
                f"{place}: pipeline {pipeline} is of the funnel {of_funnel.funnel} already, "
                f"line {of_funnel.line}"
            )
        of_step = places.setdefault((row.connection, row.pipeline_id, row.stage_id), row)
        if of_step is not row:
            raise InputError(
                f"{place}: pipeline {pipeline}{f', stage {row.stage_id},' if row.stage_id else ''} "
                f"is a place of step {of_step.step_number} already, line {of_step.line}"
            )
        named = names.setdefault((row.connection, row.funnel, row.step_number), row)
        if named.step_name != row.step_name:
            raise InputError(
                f"{place}: step {row.step_number} of the funnel {row.funnel} is called "
                f"{named.step_name} in line {named.line}"
            )


def _source_keys(connections: Iterable[Connection]) -> dict[str, str | None]:
    """What csv files may call a connection: its source key, or its name if no other has it.

    A name that several systems use maps to None.
    """
    keys: dict[str, str | None] = {}
    known = tuple(connections)
    for connection in known:
        keys[connection.name] = None if connection.name in keys else connection.source_key
    return keys | {found.source_key: found.source_key for found in known}


def _read_toml(path: Path) -> CompanyRules:
    shown = f"companies/{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        # Strict: TOML has types of its own, and `true` or "40" is not the number 40.
        rules = CompanyRules.model_validate(tomllib.loads(text), strict=True)
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
    for pbx in rules.pbx_connections():
        try:
            rules.crm_of(pbx)
        except ValueError as error:
            location = ("connections", pbx.system, pbx.name, "crm")
            line = _line_of(text, location)
            place = f", line {line}" if line else ""
            raise InputError(f"{shown}{place}: {'.'.join(location)}: {error}") from None
    return rules


def _read_csv(
    path: Path, form: type[RowT], connections: Mapping[str, str | None]
) -> tuple[RowT, ...]:
    if not path.exists():
        return ()
    shown = f"companies/{path.parent.name}/{path.name}"
    rows: list[RowT] = []
    lines: dict[tuple[object, ...], int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            expected = [name for name in form.model_fields if name != "line"]
            required = set(expected) - set(form.optional_columns)
            if not required <= set(header) <= set(expected) or len(set(header)) < len(header):
                optional = "".join(f" ({name} is optional)" for name in form.optional_columns)
                raise InputError(
                    f"{shown}, line 1: the columns must be {','.join(expected)}{optional}, found "
                    f"{','.join(header)}"
                )
            for cells in filter(None, reader):
                place = f"{shown}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise InputError(f"{place}: {len(cells)} values for {len(header)} columns")
                given = dict(zip(header, cells, strict=True)) | {"line": str(reader.line_num)}
                row = _read_row(place, given, form, connections)
                key = row.key()
                if key in lines:
                    shown_key = ", ".join(str(part) for part in key if part is not None)
                    raise InputError(f"{place}: {shown_key} stands in line {lines[key]} already")
                if key is not None:
                    lines[key] = reader.line_num
                rows.append(row)
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8: save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(
            f"{shown}, line {reader.line_num}: is not readable as csv ({error})"
        ) from None
    return tuple(rows)


def _read_row(
    place: str, cells: dict[str, str], form: type[RowT], connections: Mapping[str, str | None]
) -> RowT:
    try:
        row = form.model_validate(cells)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            # Of the row as a whole: what was found would be all of it.
            raise InputError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
        raise InputError(f"{place}, column {first['loc'][0]}: {_problem(first)}") from None
    named: str | None = getattr(row, "connection", None)
    if named is None:
        if getattr(row, "stage", None) is None:
            return row
        only = {key for key in connections.values() if key is not None}
        if len(only) != 1:
            raise InputError(f"{place}: a stage needs its connection: the company has {len(only)}")
        return row.model_copy(update={"connection": only.pop()})
    if named not in connections:
        kind = {"crm": "CRM ", "pbx": "telephony ", "any": ""}[row.connects_to]
        raise InputError(f"{place}: company.toml has no {kind}connection {named!r}")
    found = connections[named]
    if found is None:
        systems = [key for key in connections if key.endswith(f":{named}")]
        raise InputError(
            f"{place}: several systems have a connection {named!r}: write {' or '.join(systems)}"
        )
    return row.model_copy(update={"connection": found})


def _problem(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    if error["type"] == "missing":
        return "is required"
    return f"{error['msg'].removeprefix('Value error, ')} (found {error['input']!r})"


def place_in_toml(path: Path, location: Sequence[int | str]) -> str:
    """`companies/<name>/company.toml, line <n>` of a key, for messages."""
    line = _line_of(path.read_text(encoding="utf-8"), location)
    return f"companies/{path.parent.name}/{path.name}" + (f", line {line}" if line else "")


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
