-- One row per card: where it stands, since when, and when it was closed.
-- Closed at = start of the current uninterrupted run of won (lost) visits in one pipeline.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

current_visits as (
    select * from visits
    where left_at is null
),

firsts as (
    select
        card_key,
        count(*) as visits_count,
        min(case when stage_semantics in ('won', 'lost') then entered_at end) as first_closed_at
    from visits
    group by card_key
)

select
    current_visits.card_key,
    current_visits.card_type,
    current_visits.pipeline_key,
    current_visits.stage_key,
    current_visits.stage_visit_key as current_stage_visit_key,
    current_visits.entered_at as stage_entered_at,
    current_visits.stage_semantics as card_state,
    case
        when
            current_visits.stage_semantics in ('won', 'lost')
            then current_visits.semantics_since_at
    end as closed_at,
    firsts.first_closed_at,
    firsts.visits_count
from current_visits
inner join firsts
    on current_visits.card_key = firsts.card_key
