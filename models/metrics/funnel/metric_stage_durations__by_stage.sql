-- R4: how long cards stay on open stages: stays that ended in the month, per visit and per card,
-- and apart from them those that have not ended, with their age now.
with visits as (
    select * from {{ ref('fct_stage_visits') }}
    where stage_semantics = 'open'
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

dates as (
    select * from {{ ref('dim_dates') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

ended as (
    select
        visits.source_key,
        visits.pipeline_key,
        visits.stage_key,
        visits.card_key,
        visits.reporting_employee_key,
        dates.month_start_on,
        visits.duration_seconds as stay_seconds,
        visits.duration_seconds::double / 86400 as stay_days
    from visits
    inner join dates
        on visits.left_on = dates.date_day
    -- Where a move has no history, how long the card stood there is not known.
    where not visits.is_inferred
),

standing as (
    select
        visits.source_key,
        visits.pipeline_key,
        visits.stage_key,
        visits.card_key,
        visits.reporting_employee_key,
        date_trunc('month', connections.as_of_on)::date as month_start_on,
        {{ seconds_between('visits.entered_at', 'connections.as_of_at') }} / 86400 as age_days
    from visits
    inner join connections
        on visits.source_key = connections.source_key
    where visits.left_at is null
),

sliced as (
    {% for slice_type, slice_key in {
        'all': '0', 'employee': 'reporting_employee_key',
    }.items() -%}
    select
        source_key,
        pipeline_key,
        stage_key,
        card_key,
        month_start_on,
        '{{ slice_type }}' as slice_type,
        {{ slice_key }}::bigint as slice_key,
        stay_seconds,
        stay_days,
        null as age_days
    from ended
    union all
    select
        source_key,
        pipeline_key,
        stage_key,
        card_key,
        month_start_on,
        '{{ slice_type }}' as slice_type,
        {{ slice_key }}::bigint as slice_key,
        null as stay_seconds,
        null as stay_days,
        age_days
    from standing
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

by_card as (
    select
        source_key,
        pipeline_key,
        stage_key,
        month_start_on,
        slice_type,
        slice_key,
        card_key,
        sum(stay_seconds)::double / 86400 as card_days
    from sliced
    where stay_days is not null
    group by all
),

card_figures as (
    select
        stage_key,
        month_start_on,
        slice_type,
        slice_key,
        count(*) as ended_cards_count,
        median(card_days) as card_days_median
    from by_card
    group by stage_key, month_start_on, slice_type, slice_key
),

figures as (
    select
        source_key,
        pipeline_key,
        stage_key,
        month_start_on,
        slice_type,
        slice_key,
        count(stay_days) as ended_count,
        sum(stay_seconds)::double / 86400 as stay_days_sum,
        median(stay_days) as stay_days_median,
        quantile_cont(stay_days, 0.9) as stay_days_p90,
        count(age_days) as open_now_count,
        median(age_days) as age_days_median,
        max(age_days) as age_days_max
    from sliced
    group by source_key, pipeline_key, stage_key, month_start_on, slice_type, slice_key
)

select
    {{ hash_key([
        'figures.stage_key', 'figures.month_start_on', 'figures.slice_type', 'figures.slice_key',
        "'durations'",
    ]) }} as stage_duration_key,
    figures.source_key,
    figures.pipeline_key,
    pipelines.pipeline_name,
    figures.stage_key,
    stages.stage_name,
    stages.stage_position,
    figures.month_start_on,
    figures.slice_type,
    employees.employee_key as reporting_employee_key,
    employees.employee_name,
    figures.ended_count::bigint as ended_count,
    figures.stay_days_sum::double as stay_days_sum,
    (figures.stay_days_sum / nullif(figures.ended_count, 0))::double as stay_days_mean,
    figures.stay_days_median::double as stay_days_median,
    figures.stay_days_p90::double as stay_days_p90,
    before.ended_count::bigint as previous_ended_count,
    (before.stay_days_sum / nullif(before.ended_count, 0))::double as previous_stay_days_mean,
    before.stay_days_median::double as previous_stay_days_median,
    coalesce(card_figures.ended_cards_count, 0)::bigint as ended_cards_count,
    card_figures.card_days_median::double as card_days_median,
    figures.open_now_count::bigint as open_now_count,
    figures.age_days_median::double as age_days_median,
    figures.age_days_max::double as age_days_max
from figures
inner join pipelines
    on figures.pipeline_key = pipelines.pipeline_key
inner join stages
    on figures.stage_key = stages.stage_key
left join card_figures
    on figures.stage_key = card_figures.stage_key
    and figures.month_start_on = card_figures.month_start_on
    and figures.slice_type = card_figures.slice_type
    and figures.slice_key = card_figures.slice_key
left join figures as before
    on figures.stage_key = before.stage_key
    and figures.slice_type = before.slice_type
    and figures.slice_key = before.slice_key
    and (figures.month_start_on - interval 1 month)::date = before.month_start_on
left join employees
    on figures.slice_type = 'employee'
    and figures.slice_key = employees.employee_key
