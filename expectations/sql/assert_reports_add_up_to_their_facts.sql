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
        'talk by grade' as what,
        (
            select sum(calls_count) + sum(talk_seconds)
            from {{ ref('metric_employee_talk__by_grade') }}
        ) as reported,
        (
            select count(*) + sum(talk_seconds)
            from {{ ref('fct_calls') }}
            where is_external
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
    {% for slice_type in ['all', 'employee', 'department', 'product'] -%}
    union all
    select
        'cycles by {{ slice_type }}' as what,
        (
            select sum(won_count)
            from {{ ref('metric_cycles__by_month') }}
            where slice_type = '{{ slice_type }}'
        ) as reported,
        (
            select count(*)
            from {{ ref('fct_deal_closes') }} as closes
            inner join {{ ref('dim_pipelines') }} as pipelines
                on closes.pipeline_key = pipelines.pipeline_key
            where
                closes.outcome = 'won' and closes.is_counted
                and pipelines.pipeline_role <> 'ignore'
        ) as held
    {% endfor -%}
    union all
    select
        'call register' as what,
        (select count(*) from {{ ref('metric_call_register__by_call') }}) as reported,
        (
            select count(*)
            from {{ ref('fct_calls') }}
            where is_external
        ) as held
    union all
    select
        'funnels at equal age' as what,
        (
            select sum(cohort_count)
            from {{ ref('metric_funnel_at_age__by_stage') }}
            where slice_type = 'employee' and stage_position = 1
        ) as reported,
        (
            select sum(funnel.cohort_count)
            from {{ ref('metric_funnel__by_stage') }} as funnel
            inner join (
                select
                    stage_key,
                    month_start_on,
                    age_days
                from {{ ref('metric_funnel_at_age__by_stage') }}
                where slice_type = 'all'
            ) as ages
                on funnel.stage_key = ages.stage_key
                and funnel.month_start_on = ages.month_start_on
            where funnel.slice_type = 'all' and funnel.stage_position = 1
        ) as held
    union all
    select
        'wins by week' as what,
        (
            select sum(value)
            from {{ ref('metric_weekly_indicators__by_week') }}
            where metric_name = 'won' and slice_type = 'department' and is_finished
        ) as reported,
        (
            select sum(cards.contribution)
            from {{ ref('metric_cards__by_metric') }} as cards
            inner join (
                select
                    source_key,
                    min(starts_on) as known_from_on,
                    max(ends_on) as finished_on
                from {{ ref('metric_weekly_indicators__by_week') }}
                where metric_name = 'won' and slice_type = 'all' and is_finished
                group by source_key
            ) as weeks
                on cards.source_key = weeks.source_key
                and cards.happened_on >= weeks.known_from_on
                and cards.happened_on < weeks.finished_on
            where cards.metric_name = 'won' and cards.is_in_totals
        ) as held
    union all
    select
        'payments on the sheet' as what,
        (
            select count(*)
            from {{ ref('metric_operative_sheet__by_item') }}
            where item_type = 'payment'
        ) as reported,
        (
            select count(*)
            from {{ ref('fct_payments') }} as payments
            inner join {{ ref('dim_dates') }} as dates
                on dates.is_as_of_day
                and payments.paid_on >= dates.date_day - 1
                and payments.paid_on <= dates.date_day + 7
        ) as held
    union all
    select
        'checks of open cards' as what,
        (
            select sum(cards_count)
            from {{ ref('metric_funnel_health__by_check') }}
            where slice_type = 'employee' and health_check = 'dead_cards'
        ) as reported,
        (select count(*) from {{ ref('metric_open_cards__by_card') }}) as held
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
