"""Comparing the marts of one connection with the independent reference, row for row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import duckdb

from tests.reference.calls import call_load, calls
from tests.reference.records import Portal
from tests.reference.rules import Rules
from tests.reference.stages import closes, deal_closes, lead_closes, repeat_deals, visits
from tests.reference.telephony import PbxCall

Rows = list[tuple[Any, ...]]

_VISITS = """
    select
        visits.card_type, coalesce(deals.deal_id, leads.lead_id), visits.visit_number,
        pipelines.pipeline_id,
        nullif(stages.stage_id, '(unknown)'), visits.stage_semantics,
        epoch_us(visits.entered_at), epoch_us(visits.left_at),
        visits.is_inferred, visits.was_before_creation
    from marts.fct_stage_visits as visits
    left join marts.fct_deals as deals on visits.deal_key = deals.deal_key
    left join marts.fct_leads as leads on visits.lead_key = leads.lead_key
    inner join marts.dim_stages as stages on visits.stage_key = stages.stage_key
    inner join marts.dim_pipelines as pipelines on visits.pipeline_key = pipelines.pipeline_key
    where visits.source_key = ?
"""
_DEALS = """
    select deal_id, deal_state, epoch_us(closed_at), epoch_us(first_closed_at), is_repeat_client
    from marts.fct_deals where source_key = ?
"""
_LEADS = """
    select lead_id, lead_state, epoch_us(closed_at)
    from marts.fct_leads where source_key = ?
"""
_CLOSES = """
    select
        deals.deal_id, closes.close_number, closes.outcome, pipelines.pipeline_id, stages.stage_id,
        epoch_us(closes.closed_at), epoch_us(closes.ended_at), closes.is_reopened, closes.is_counted
    from marts.fct_deal_closes as closes
    inner join marts.fct_deals as deals on closes.deal_key = deals.deal_key
    inner join marts.dim_stages as stages on closes.stage_key = stages.stage_key
    inner join marts.dim_pipelines as pipelines on closes.pipeline_key = pipelines.pipeline_key
    where closes.source_key = ?
"""
_CALLS = """
    select
        calls.call_id, calls.pbx_call_id, calls.direction, calls.is_external, calls.is_answered,
        calls.is_successful, calls.talk_seconds, calls.is_shared_number, calls.match_method,
        calls.card_type, coalesce(deals.deal_id, leads.lead_id),
        pipelines.pipeline_id, nullif(stages.stage_id, '(unknown)'), visits.visit_number,
        calls.is_ambiguous
    from marts.fct_calls as calls
    left join marts.fct_deals as deals on calls.deal_key = deals.deal_key
    left join marts.fct_leads as leads on calls.lead_key = leads.lead_key
    left join marts.dim_stages as stages on calls.stage_key = stages.stage_key
    left join marts.dim_pipelines as pipelines on calls.pipeline_key = pipelines.pipeline_key
    left join marts.fct_stage_visits as visits on calls.stage_visit_key = visits.stage_visit_key
    where calls.source_key = ?
"""
_LOAD = """
    select
        load.called_on, pipelines.pipeline_id, nullif(stages.stage_id, '(unknown)'),
        load.calls_count, load.inbound_count, load.outbound_count, load.answered_count,
        load.successful_count, load.talk_seconds
    from metrics.metric_call_load__by_stage as load
    left join marts.dim_stages as stages on load.stage_key = stages.stage_key
    left join marts.dim_pipelines as pipelines on load.pipeline_key = pipelines.pipeline_key
    where load.source_key = ? and load.segment_type = 'all' and load.calls_count > 0
        and load.stage_key is not null and stages.stage_id <> '(unknown)'
"""


def differences(
    connection: duckdb.DuckDBPyConnection,
    source_key: str,
    portal: Portal,
    rules: Rules,
    exchange: Sequence[PbxCall] = (),
    talkers: Mapping[str, int | None] = MappingProxyType({}),
) -> dict[str, Rows]:
    """Rows that only one side has, by table; empty when marts and reference agree.

    Args:
        connection: of the warehouse.
        source_key: the portal's.
        portal: its records.
        rules: the company's.
        exchange: calls of the telephony that is tied to the portal, and
        talkers: who had their extensions.
    """
    found_calls = calls(portal, rules, exchange, talkers)
    repeated = repeat_deals(portal, rules)
    expected: dict[str, Rows] = {
        _VISITS: [
            (
                visit.card_type,
                visit.card_id,
                visit.position,
                visit.category_id,
                visit.stage_id,
                visit.semantics,
                visit.entered_at,
                visit.left_at,
                visit.is_inferred,
                visit.is_before_creation,
            )
            for visit in visits(portal, rules)
        ],
        _DEALS: [
            (
                deal.deal_id,
                deal.outcome,
                deal.closed_at,
                deal.first_closed_at,
                repeated[deal.deal_id],
            )
            for deal in deal_closes(portal, rules)
        ],
        _LEADS: [
            (lead.lead_id, lead.outcome, lead.closed_at) for lead in lead_closes(portal, rules)
        ],
        _CLOSES: [
            (
                close.deal_id,
                close.number,
                close.outcome,
                close.category_id,
                close.stage_id,
                close.closed_at,
                close.ended_at,
                close.is_reopened,
                close.is_counted,
            )
            for close in closes(portal, rules)
        ],
        _CALLS: [
            (
                call.call_id,
                call.pbx_call_id,
                call.direction,
                call.is_external,
                call.is_answered,
                call.is_successful,
                call.talk_seconds,
                call.is_shared_number,
                call.match_method,
                call.card_type,
                call.card_id,
                call.category_id,
                call.stage_id,
                call.visit_position,
                call.is_ambiguous,
            )
            for call in found_calls
        ],
        _LOAD: [
            (
                row.called_on,
                row.category_id,
                row.stage_id,
                row.calls,
                row.inbound,
                row.outbound,
                row.answered,
                row.successful,
                row.talk_seconds,
            )
            for row in call_load(found_calls, rules)
            if row.stage_id is not None
        ],
    }
    names = {
        _VISITS: "visits",
        _DEALS: "deals",
        _LEADS: "leads",
        _CLOSES: "closes",
        _CALLS: "calls",
        _LOAD: "call load",
    }
    return differing(
        {
            names[sql]: (connection.execute(sql, [source_key]).fetchall(), wanted)
            for sql, wanted in expected.items()
        }
    )


def differing(tables: Mapping[str, tuple[Rows, Rows]]) -> dict[str, Rows]:
    """Rows that only one side has, by name, of pairs of what was got and what was wanted."""
    found: dict[str, Rows] = {}
    for name, (got, wanted) in tables.items():
        assert len(got) == len(wanted) or set(got) != set(wanted), f"{name}: duplicates"
        odd = set(got) ^ set(wanted)
        if odd:
            found[name] = sorted(odd, key=repr)[:6]
    return found
