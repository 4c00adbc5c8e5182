{{ config(meta={'dagster': {'ref': {'name': 'metric_journeys__by_step'}}}) }}
-- Every card that came to a step of a funnel is in one journey of it, whoever reached a step came
-- there in one way, and every journey ends on one step, won, lost, open or otherwise.
with steps as (
    select
        *,
        began_here_count + linked_count + moved_count + next_deal_count + stage_count
        + passed_over_count as ways_count,
        open_here_count + lost_here_count + won_here_count + other_here_count as here_count
    from {{ ref('metric_journeys__by_step') }}
),

places as (
    select * from {{ ref('int_journey_places') }}
),

asked_places as (
    select
        places.*,
        stages.stage_position
    from places
    left join {{ ref('dim_stages') }} as stages
        on places.stage_key = stages.stage_key
),

-- Read anew from the visits.
held_cards as (
    select
        asked_places.funnel_key,
        visits.card_key
    from {{ ref('fct_stage_visits') }} as visits
    inner join asked_places
        on visits.pipeline_key = asked_places.pipeline_key
    inner join {{ ref('int_connections') }} as connections
        on visits.source_key = connections.source_key
    left join {{ ref('dim_stages') }} as stages
        on visits.stage_key = stages.stage_key
    where
        visits.entered_at <= connections.report_as_of_at
        and case
            when asked_places.stage_key is null then true
            when visits.stage_key = asked_places.stage_key then true
            when visits.stage_semantics = 'lost' then false
            else stages.stage_position > asked_places.stage_position
        end
    group by asked_places.funnel_key, visits.card_key
),

compared as (
    select
        'cards' as what,
        (select sum(cards_count) from {{ ref('metric_journeys__by_journey') }}) as reported,
        (select count(*) from held_cards) as held
    union all
    select
        'ways to step ' || step_number as what,
        sum(ways_count) as reported,
        sum(reached_count) as held
    from steps
    group by step_number
    union all
    select
        'journeys by ' || slice_type as what,
        sum(here_count) as reported,
        (select count(*) from {{ ref('metric_journeys__by_journey') }}) as held
    from steps
    group by slice_type
)

select *
from compared
where coalesce(reported, 0) <> coalesce(held, 0)
