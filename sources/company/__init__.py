"""The company's rules as raw tables, so that models read them like any other data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.company.rules import (
    AmocrmSection,
    Company,
    CompanyRules,
    GenericSection,
    GoalRow,
    NormRow,
    read_company,
    working_minutes,
)

__all__ = ["SCHEMAS", "Company", "CompanyRules", "company", "read_company"]

_TEXT, _INTEGER = pa.string(), pa.int64()
_DOUBLE = pa.float64()
_MONEY = pa.decimal128(18, 2)
_TARGET = (
    pa.field("metric", _TEXT),
    pa.field("source_key", _TEXT),
    pa.field("pipeline_id", _INTEGER),
    pa.field("stage_id", _TEXT),
    pa.field("employee_id", _INTEGER),
    pa.field("department", _TEXT),
    pa.field("period", _TEXT),
    pa.field("value", _MONEY),
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "rules": pa.schema(
        [
            pa.field("company", _TEXT),
            pa.field("company_name", _TEXT),
            pa.field("time_zone", _TEXT),
            pa.field("language", _TEXT),
            pa.field("currency_code", _TEXT),
            pa.field("phone_region", _TEXT),
            pa.field("successful_call_seconds", _INTEGER),
            pa.field("call_starts_card_minutes", _INTEGER),
            pa.field("after_close_days", _INTEGER),
            pa.field("callback_hours", _INTEGER),
            pa.field("contact_seconds", _INTEGER),
            pa.field("shared_lines", _TEXT),
            pa.field("mass_move_cards", _INTEGER),
            pa.field("mass_move_minutes", _INTEGER),
        ]
    ),
    "report_rules": pa.schema(
        [
            pa.field("company", _TEXT),
            pa.field("forgotten_days", _INTEGER),
            pa.field("open_cards_limit", _INTEGER),
            pa.field("health_cards_min", _INTEGER),
            pa.field("turbulence_share", _DOUBLE),
            pa.field("accumulation_factor", _DOUBLE),
            pa.field("accumulation_share", _DOUBLE),
            pa.field("insufficiency_share", _DOUBLE),
            pa.field("graveyard_share", _DOUBLE),
            pa.field("graveyard_days", _INTEGER),
            pa.field("signal_cases_min", _INTEGER),
            pa.field("short_call_seconds", _INTEGER),
            pa.field("short_calls_factor", _DOUBLE),
            pa.field("record_months_min", _INTEGER),
            pa.field("few_calls_share", _DOUBLE),
            pa.field("many_wins_share", _DOUBLE),
            pa.field("trace_minutes", _INTEGER),
            pa.field("untraced_factor", _DOUBLE),
            pa.field("canned_repeats", _INTEGER),
            pa.field("canned_share", _DOUBLE),
            pa.field("alarm_drop_share", _DOUBLE),
            pa.field("asleep_days", _INTEGER),
            pa.field("next_deal_days", _INTEGER),
        ]
    ),
    "quality_rules": pa.schema(
        [
            pa.field("company", _TEXT),
            pa.field("long_call_hours", _DOUBLE),
            pa.field("duplicate_call_seconds", _INTEGER),
            pa.field("method_share_move", _DOUBLE),
            pa.field("unknown_number_share", _DOUBLE),
            pa.field("share_calls_min", _INTEGER),
            pa.field("stale_hours", _INTEGER),
            pa.field("usual_rows_min", _INTEGER),
        ]
    ),
    "required_card_fields": pa.schema([pa.field("card_field", _TEXT)]),
    "retired_pipelines": pa.schema(
        [pa.field("source_key", _TEXT), pa.field("pipeline_id", _INTEGER)]
    ),
    "department_heads": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("department", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("line", _INTEGER),
        ]
    ),
    "accepted_findings": pa.schema(
        [
            pa.field("rule", _TEXT),
            pa.field("source_key", _TEXT),
            pa.field("entity", _TEXT),
            pa.field("record", _TEXT),
            pa.field("until_on", pa.date32()),
            pa.field("who", _TEXT),
            pa.field("why", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "working_hours": pa.schema(
        [
            pa.field("weekday_number", _INTEGER),
            pa.field("from_minute", _INTEGER),
            pa.field("until_minute", _INTEGER),
        ]
    ),
    "calendar": pa.schema(
        [
            pa.field("date_day", pa.date32()),
            pa.field("from_minute", _INTEGER),
            pa.field("until_minute", _INTEGER),
            pa.field("line", _INTEGER),
        ]
    ),
    "connections": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("system", _TEXT),
            pa.field("is_crm", pa.bool_()),
            pa.field("crm_source_key", _TEXT),
            pa.field("tells_missed_calls", pa.bool_()),
            pa.field("talk_basis", _TEXT),
            pa.field("portal_url", _TEXT),
            pa.field("source_field", _TEXT),
            pa.field("internal_digits", _INTEGER),
        ]
    ),
    "tag_sources": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("tag", _TEXT),
            pa.field("source_name", _TEXT),
            pa.field("position", _INTEGER),
        ]
    ),
    "pipeline_roles": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("pipeline_id", _INTEGER),
            pa.field("role", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "stage_roles": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("pipeline_id", _INTEGER),
            pa.field("stage_id", _TEXT),
            pa.field("role", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "dismissals": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("dismissed_on", pa.date32()),
            pa.field("line", _INTEGER),
        ]
    ),
    "employees": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("employee_name", _TEXT),
            pa.field("department", _TEXT),
            pa.field("person", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "extensions": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("extension", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("from_on", pa.date32()),
            pa.field("until_on", pa.date32()),
            pa.field("line", _INTEGER),
        ]
    ),
    "talkers": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("talker_name", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("line", _INTEGER),
        ]
    ),
    "sellers": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("department", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "currency_rates": pa.schema(
        [
            pa.field("currency", _TEXT),
            pa.field("valid_from", pa.date32()),
            pa.field("rate", pa.decimal128(18, 8)),
            pa.field("line", _INTEGER),
        ]
    ),
    "absences": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("employee_id", _INTEGER),
            pa.field("from_on", pa.date32()),
            pa.field("until_on", pa.date32()),
            pa.field("line", _INTEGER),
        ]
    ),
    "owners": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("deal_id", _INTEGER),
            pa.field("employee_id", _INTEGER),
            pa.field("owned_from", pa.date32()),
            pa.field("line", _INTEGER),
        ]
    ),
    "payments": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("deal_id", _INTEGER),
            pa.field("paid_on", pa.date32()),
            pa.field("amount", _MONEY),
            pa.field("currency", _TEXT),
            pa.field("payment_id", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "marketing_costs": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("source", _TEXT),
            pa.field("utm_source", _TEXT),
            pa.field("utm_medium", _TEXT),
            pa.field("utm_campaign", _TEXT),
            pa.field("from_on", pa.date32()),
            pa.field("until_on", pa.date32()),
            pa.field("amount", _MONEY),
            pa.field("currency", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "journey_steps": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("funnel", _TEXT),
            pa.field("step_number", _INTEGER),
            pa.field("step_name", _TEXT),
            pa.field("pipeline_id", _INTEGER),
            pa.field("stage_id", _TEXT),
            pa.field("line", _INTEGER),
        ]
    ),
    "goals": pa.schema([*_TARGET, pa.field("starts_on", pa.date32()), pa.field("line", _INTEGER)]),
    "norms": pa.schema([*_TARGET, pa.field("valid_from", pa.date32()), pa.field("line", _INTEGER)]),
    "telephony_values": pa.schema(
        [
            pa.field("source_key", _TEXT),
            pa.field("kind", _TEXT),
            pa.field("raw_value", _TEXT),
            pa.field("value", _TEXT),
        ]
    ),
    "segments": pa.schema(
        [pa.field("segment_type", _TEXT), pa.field("source_key", _TEXT), pa.field("field", _TEXT)]
    ),
}


@dlt.source(name="company", max_table_nesting=0)
def company(rules: Company, portal_urls: Mapping[str, str]) -> list[DltResource]:
    """The rules of one company, whole at every load: a removed rule is gone.

    Args:
        rules: the validated folder.
        portal_urls: source_key to the address of its portal, for links to cards.

    Returns:
        One resource per table of `SCHEMAS`; `line` is the line of the csv file.
    """
    return [
        dlt.resource(
            [pa.Table.from_pylist(rows, schema=SCHEMAS[name])],
            name=name,
            write_disposition="replace",
            file_format="parquet",
        )
        for name, rows in _tables(rules, portal_urls).items()
    ]


def _minutes(hours: str) -> dict[str, int | None]:
    begin, end = working_minutes(hours) or (None, None)
    return {"from_minute": begin, "until_minute": end}


def _tables(given: Company, portal_urls: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    rules = given.rules
    connections = tuple(rules.crm_connections())

    def lines(rows: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [
            {**row.model_dump(exclude={"connection"}), "source_key": row.connection} for row in rows
        ]

    def in_currency(rows: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [
            {**row, "currency": row["currency"] or rules.company.currency} for row in lines(rows)
        ]

    def targets(rows: tuple[GoalRow | NormRow, ...]) -> list[dict[str, Any]]:
        return [
            {
                **row.model_dump(exclude={"connection", "stage"}),
                "source_key": row.connection,
                "pipeline_id": row.stage_place[0],
                "stage_id": row.stage_place[1],
            }
            for row in rows
        ]

    return {
        "rules": [
            {
                "company": given.key,
                "company_name": rules.company.name,
                "time_zone": rules.company.time_zone,
                "language": rules.company.language,
                "currency_code": rules.company.currency,
                "phone_region": rules.company.phone_region,
                **rules.calls.model_dump(),
                **rules.quality.of_models,
            }
        ],
        "report_rules": [{"company": given.key, **rules.reports.model_dump()}],
        "quality_rules": [{"company": given.key, **rules.quality.of_findings}],
        "required_card_fields": [
            {"card_field": field} for field in rules.quality.required_card_fields
        ],
        "retired_pipelines": [
            {"source_key": found.source_key, "pipeline_id": pipeline_id}
            for found in connections
            for pipeline_id in found.section.retired_pipelines
        ],
        "department_heads": lines(given.department_heads),
        "accepted_findings": lines(given.accepted_findings),
        "connections": [
            {
                "source_key": found.source_key,
                "system": found.system,
                "is_crm": True,
                "crm_source_key": found.source_key,
                "tells_missed_calls": found.section.tells_missed_calls,
                "talk_basis": found.section.talk_basis,
                "portal_url": found.section.portal_url or portal_urls.get(found.source_key),
                "source_field": getattr(found.section, "source_field", None),
            }
            for found in connections
        ]
        + [
            {
                "source_key": found.source_key,
                "system": found.system,
                "is_crm": False,
                "tells_missed_calls": True,
                "crm_source_key": rules.crm_of(found),
                "internal_digits": getattr(found.section, "internal_digits", None),
            }
            for found in rules.pbx_connections()
        ],
        "working_hours": [
            {"weekday_number": number, **_minutes(hours)}
            for number, hours in enumerate(rules.working_hours.model_dump().values(), start=1)
        ],
        "calendar": [
            {"date_day": row.date_day, "line": row.line, **_minutes(row.working_hours)}
            for row in given.calendar
        ],
        "telephony_values": [
            {
                "source_key": found.source_key,
                "kind": kind,
                "raw_value": raw,
                "value": value,
            }
            for found in rules.pbx_connections()
            if isinstance(found.section, GenericSection)
            for kind, values in (
                ("direction", found.section.directions),
                ("result", found.section.results),
            )
            for raw, value in values.items()
        ],
        "tag_sources": [
            {
                "source_key": found.source_key,
                "tag": tag,
                "source_name": name,
                "position": position,
            }
            for found in connections
            if isinstance(found.section, AmocrmSection)
            for position, (tag, name) in enumerate(found.section.tag_sources.items())
        ],
        "pipeline_roles": lines(given.pipelines),
        "stage_roles": lines(given.stages),
        "dismissals": lines(given.dismissals),
        "employees": lines(given.employees),
        "extensions": lines(given.extensions),
        "talkers": lines(given.talkers),
        "sellers": lines(given.sellers),
        "currency_rates": [row.model_dump() for row in given.currency_rates],
        "absences": lines(given.absences),
        "owners": lines(given.owners),
        "payments": in_currency(given.payments),
        "marketing_costs": in_currency(given.marketing_costs),
        "journey_steps": lines(given.journey_steps),
        "goals": targets(given.goals),
        "norms": targets(given.norms),
        "segments": [
            {"segment_type": segment, "source_key": found.source_key, "field": field}
            for segment, fields in rules.segments.items()
            for found in connections
            if (field := fields.get(found.system)) is not None
        ],
    }
