-- R2 at equal age: how far the cards of a month had come so many days after they entered the
-- pipeline, so that a young cohort can be compared with an old one. Reached as in the funnel, over
-- what had happened by then; only cohorts of which every card is so old.
with visits as (
    select * from {{ ref('fct_stage_visits') }}
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

placed as (
    select
        visits.source_key,
        visits.pipeline_key,
        visits.card_key,
        visits.visit_number,
        visits.entered_at,
        visits.stage_semantics,
        visits.reporting_employee_key,
        stages.stage_position,
        dates.month_start_on
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    inner join stages
        on visits.stage_key = stages.stage_key
    inner join dates
        on visits.entered_on = dates.date_day
),

first_entries as (
    select
        source_key,
        pipeline_key,
        card_key,
        min_by(entered_at, visit_number) as first_entered_at,
        min_by(month_start_on, visit_number) as month_start_on,
        min_by(reporting_employee_key, visit_number) as reporting_employee_key
    from placed
    group by source_key, pipeline_key, card_key
),

ages as (
    {% for age in [30, 60, 90, 180, 365] -%}
    select {{ age }} as age_days
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

old_enough as (
    select
        first_entries.*,
        ages.age_days
    from first_entries
    cross join ages
    inner join connections
        on first_entries.source_key = connections.source_key
    where
        (first_entries.month_start_on + interval 1 month)::date + ages.age_days
        <= connections.as_of_on
),

by_then as (
    select
        old_enough.source_key,
        old_enough.pipeline_key,
        old_enough.month_start_on,
        old_enough.reporting_employee_key,
        old_enough.age_days,
        old_enough.card_key,
        max_by(placed.stage_semantics, placed.visit_number) as last_semantics,
        coalesce(
            max(placed.stage_position) filter (where placed.stage_semantics = 'open'), 0
        ) as furthest_position,
        coalesce(
            max_by(placed.stage_position, placed.visit_number) filter (
                where placed.stage_semantics = 'open'
            ),
            0
        ) as last_open_position
    from old_enough
    inner join placed
        on old_enough.card_key = placed.card_key
        and old_enough.pipeline_key = placed.pipeline_key
        and placed.entered_at
        <= old_enough.first_entered_at + {{ seconds('old_enough.age_days * 86400') }}
    group by
        old_enough.source_key, old_enough.pipeline_key, old_enough.month_start_on,
        old_enough.reporting_employee_key, old_enough.age_days, old_enough.card_key
),

reached as (
    select
        *,
        last_semantics = 'won' as is_won,
        case last_semantics
            when 'won' then 2147483647
            when 'lost' then last_open_position
            else furthest_position
        end as reached_position
    from by_then
),

counted as (
    {% for slice_type, slice_key in {
        'all': '0', 'employee': 'reporting_employee_key',
    }.items() -%}
    select
        source_key,
        pipeline_key,
        month_start_on,
        age_days,
        '{{ slice_type }}' as slice_type,
        {{ slice_key }}::bigint as slice_key,
        reached_position,
        is_won,
        count(*) as cards_count
    from reached
    group by all
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

funnel as (
    select
        counted.source_key,
        counted.pipeline_key,
        stages.stage_key,
        stages.stage_name,
        stages.stage_position,
        counted.month_start_on,
        counted.age_days,
        counted.slice_type,
        counted.slice_key,
        sum(counted.cards_count) as cohort_count,
        coalesce(sum(counted.cards_count) filter (
            where case stages.stage_semantics
                when 'won' then counted.is_won
                else counted.reached_position >= stages.stage_position
            end
        ), 0) as reached_count
    from counted
    inner join stages
        on counted.pipeline_key = stages.pipeline_key
        and stages.stage_semantics in ('open', 'won')
    group by
        counted.source_key, counted.pipeline_key, stages.stage_key, stages.stage_name,
        stages.stage_position, counted.month_start_on, counted.age_days, counted.slice_type,
        counted.slice_key
)

select
    {{ hash_key([
        'funnel.stage_key', 'funnel.month_start_on', 'funnel.slice_type', 'funnel.slice_key',
        'funnel.age_days',
    ]) }} as funnel_at_age_key,
    funnel.source_key,
    funnel.pipeline_key,
    pipelines.pipeline_name,
    funnel.stage_key,
    funnel.stage_name,
    funnel.stage_position,
    funnel.month_start_on,
    funnel.slice_type,
    employees.employee_key as reporting_employee_key,
    employees.employee_name,
    funnel.age_days::integer as age_days,
    funnel.cohort_count::bigint as cohort_count,
    funnel.reached_count::bigint as reached_count,
    (funnel.reached_count / nullif(funnel.cohort_count, 0))::double as reached_share
from funnel
inner join pipelines
    on funnel.pipeline_key = pipelines.pipeline_key
left join employees
    on funnel.slice_type = 'employee'
    and funnel.slice_key = employees.employee_key
