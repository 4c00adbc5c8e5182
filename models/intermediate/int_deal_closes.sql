-- Every run of won or lost visits of a deal, with who is credited for it: the company's file, the
-- history or the snapshot of owners where there is one at that instant. Else the mover, if the move
-- is the close and the mover is a person who was not dismissed on that day; else the owner as far
-- as known.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
    where card_type = 'deal'
),

deals as (
    select * from {{ ref('int_deals') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

owner_intervals as (
    select * from {{ ref('int_owner_intervals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

bounds as (
    select
        card_key,
        run_number,
        min(visit_number) as first_visit_number,
        max(visit_number) as last_visit_number
    from visits
    where stage_semantics in ('won', 'lost')
    group by card_key, run_number
),

runs as (
    select
        first_visits.stage_visit_key as deal_close_key,
        first_visits.source_key,
        first_visits.card_key as deal_key,
        first_visits.pipeline_key,
        first_visits.stage_key,
        first_visits.stage_semantics as outcome,
        first_visits.entered_at as closed_at,
        last_visits.left_at as ended_at,
        coalesce(next_visits.stage_semantics = 'open', false) as is_open_next,
        coalesce(next_visits.pipeline_key <> first_visits.pipeline_key, false) as is_moved_on,
        row_number() over (
            partition by first_visits.card_key order by first_visits.visit_number
        ) as close_number,
        row_number() over (
            partition by
                first_visits.card_key, first_visits.pipeline_key, first_visits.stage_semantics
            order by first_visits.visit_number desc
        ) as outcome_recency
    from bounds
    inner join visits as first_visits
        on bounds.card_key = first_visits.card_key
        and bounds.first_visit_number = first_visits.visit_number
    inner join visits as last_visits
        on bounds.card_key = last_visits.card_key
        and bounds.last_visit_number = last_visits.visit_number
    left join visits as next_visits
        on bounds.card_key = next_visits.card_key
        and bounds.last_visit_number + 1 = next_visits.visit_number
),

dated as (
    select
        runs.*,
        days.date_day as closed_on,
        owner_intervals.owner_employee_key as known_owner_employee_key,
        owner_intervals.owner_basis as known_owner_basis,
        -- Whether the last move of the deal was this close.
        case when deals.moved_at = runs.closed_at then deals.mover_employee_key end
            as mover_employee_key,
        -- A setter's win is not undone by what follows in other pipelines.
        runs.ended_at is not null
        and pipelines.pipeline_role = 'setter'
        and runs.outcome = 'won'
        and runs.is_moved_on
        and runs.outcome_recency = 1 as is_handed_over
    from runs
    inner join deals
        on runs.deal_key = deals.deal_key
    inner join pipelines
        on runs.pipeline_key = pipelines.pipeline_key
    inner join days
        on runs.closed_at::date = days.utc_on
        and runs.closed_at >= days.starts_at
        and runs.closed_at < days.ends_at
    inner join owner_intervals
        on runs.deal_key = owner_intervals.card_key
        and runs.closed_at >= owner_intervals.owned_from
        and runs.closed_at < owner_intervals.valid_to
),

credited as (
    select
        dated.*,
        coalesce(
            movers.employee_kind = 'person' and movers.former_from_on > dated.closed_on, false
        ) as is_movers_close
    from dated
    left join employees as movers
        on dated.mover_employee_key = movers.employee_key
)

select
    deal_close_key,
    source_key,
    deal_key,
    close_number,
    outcome,
    pipeline_key,
    stage_key,
    closed_at,
    closed_on,
    ended_at,
    is_open_next and not is_handed_over as is_reopened,
    ended_at is null as is_current,
    ended_at is null or is_handed_over as is_counted,
    case
        when known_owner_basis in ('history', 'snapshot', 'file') then known_owner_employee_key
        when is_movers_close then mover_employee_key
        else known_owner_employee_key
    end as owner_employee_key,
    case
        when known_owner_basis in ('history', 'snapshot', 'file') then known_owner_basis
        when is_movers_close then 'mover'
        else 'current'
    end as owner_basis
from credited
