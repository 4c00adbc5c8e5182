{{ config(meta={'dagster': {'ref': {'name': 'metric_funnel__by_stage'}}}) }}
-- What a report counts over all its rows is what its fact holds.
with compared as (
    select
        'cohorts of the funnel' as what,
        (
            select sum(cohort_count)
            from {{ ref('metric_funnel__by_stage') }}
            where slice_type = 'all' and stage_position = 1
        ) as reported,
        (
            select count(*)
            from (
                select
                    visits.card_key,
                    visits.pipeline_key
                from {{ ref('fct_stage_visits') }} as visits
                inner join {{ ref('dim_pipelines') }} as pipelines
                    on visits.pipeline_key = pipelines.pipeline_key
                where
                    pipelines.pipeline_role <> 'ignore'
                    and visits.pipeline_key in (
                        select pipeline_key
                        from {{ ref('dim_stages') }}
                        where stage_position = 1 and stage_semantics in ('open', 'won')
                    )
                group by visits.card_key, visits.pipeline_key
            ) as pairs
        ) as held
    union all
    select
        'stays on stages' as what,
        (
            select sum(ended_count)
            from {{ ref('metric_stage_durations__by_stage') }}
            where slice_type = 'all'
        ) as reported,
        (
            select count(*)
            from {{ ref('fct_stage_visits') }} as visits
            inner join {{ ref('dim_pipelines') }} as pipelines
                on visits.pipeline_key = pipelines.pipeline_key
            where
                pipelines.pipeline_role <> 'ignore'
                and visits.stage_semantics = 'open'
                and visits.left_at is not null
                and not visits.is_inferred
        ) as held
    union all
    select
        'losses' as what,
        (select sum(lost_count) from {{ ref('metric_losses__by_reason') }}) as reported,
        (
            select count(*)
            from {{ ref('fct_deal_closes') }} as closes
            inner join {{ ref('dim_pipelines') }} as pipelines
                on closes.pipeline_key = pipelines.pipeline_key
            where
                closes.outcome = 'lost' and closes.is_counted
                and pipelines.pipeline_role <> 'ignore'
        ) as held
    union all
    select
        'losses with their reason' as what,
        (select count(*) from {{ ref('fct_losses') }}) as reported,
        (
            select count(*)
            from {{ ref('fct_deal_closes') }}
            where outcome = 'lost' and is_counted
        ) as held
    union all
    select
        'calls by hour' as what,
        (select sum(calls_count) from {{ ref('metric_calls__by_hour') }}) as reported,
        (
            select count(*)
            from {{ ref('fct_calls') }}
            where is_external
        ) as held
    union all
    select
        'open cards' as what,
        (select count(*) from {{ ref('metric_open_cards__by_card') }}) as reported,
        (
            select count(*)
            from (
                select pipeline_key
                from {{ ref('fct_deals') }}
                where deal_state = 'open'
                union all
                select pipeline_key
                from {{ ref('fct_leads') }}
                where lead_state = 'open'
            ) as cards
            inner join {{ ref('dim_pipelines') }} as pipelines
                on cards.pipeline_key = pipelines.pipeline_key
            where pipelines.pipeline_role in ('sales', 'setter', 'lead')
        ) as held
)

select *
from compared
where coalesce(reported, 0) <> coalesce(held, 0)
