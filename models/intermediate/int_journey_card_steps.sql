-- When a card first came to each step of a funnel: into the step's pipeline, or to its stage or one
-- behind it in the same pipeline, as far as the win.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with places as (
    select * from {{ ref('int_journey_places') }}
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

reached as (
    select
        places.funnel_key,
        places.step_number,
        visits.source_key,
        visits.card_type,
        visits.card_key,
        visits.pipeline_key,
        visits.visit_number,
        visits.entered_at
    from visits
    inner join places
        on visits.pipeline_key = places.pipeline_key
    inner join connections
        on visits.source_key = connections.source_key
    left join stages
        on visits.stage_key = stages.stage_key
    left join stages as asked_stages
        on places.stage_key = asked_stages.stage_key
    where
        visits.entered_at <= connections.report_as_of_at
        and (
            places.stage_key is null
            or visits.stage_key = places.stage_key
            or (
                stages.stage_position > asked_stages.stage_position
                and visits.stage_semantics <> 'lost'
            )
        )
)

select
    funnel_key,
    step_number,
    source_key,
    card_type,
    card_key,
    min_by(pipeline_key, visit_number) as pipeline_key,
    min_by(visit_number, visit_number) as visit_number,
    min(entered_at) as reached_at
from reached
group by funnel_key, step_number, source_key, card_type, card_key
