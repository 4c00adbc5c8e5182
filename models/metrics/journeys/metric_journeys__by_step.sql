-- R3: journeys by the month in which they began, and how far they came. A step that was passed over
-- counts as reached, as a jump does in the funnel (R2); a journey that began at a later step could
-- not reach the earlier ones and is not in their denominators.
with journeys as (
    select * from {{ ref('metric_journeys__by_journey') }}
),

journey_steps as (
    select * from {{ ref('metric_journey_steps__by_journey') }}
),

places as (
    select * from {{ ref('int_journey_places') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

numbered_steps as (
    select
        source_key,
        funnel_name,
        step_number,
        step_name,
        row_number() over (partition by source_key, funnel_name order by step_number)
            as step_position
    from places
    group by source_key, funnel_name, step_number, step_name
),

begun as (
    select
        journeys.*,
        dates.month_start_on,
        entry_steps.step_position as entry_position,
        furthest_steps.step_position as furthest_position
    from journeys
    inner join dates
        on journeys.started_on = dates.date_day
    inner join numbered_steps as entry_steps
        on journeys.source_key = entry_steps.source_key
        and journeys.funnel_name = entry_steps.funnel_name
        and journeys.entry_step_number = entry_steps.step_number
    inner join numbered_steps as furthest_steps
        on journeys.source_key = furthest_steps.source_key
        and journeys.funnel_name = furthest_steps.funnel_name
        and journeys.furthest_step_number = furthest_steps.step_number
),

sliced as (
    {% for slice_type, slice_value, slice_key in [
        ('all', "'all'", 'null'),
        ('source', 'source_name', 'null'),
        ('department', 'starter_department_name', 'null'),
        ('employee', "''", 'reporting_employee_key'),
    ] -%}
    select
        journey_key,
        source_key,
        funnel_name,
        month_start_on,
        entry_position,
        furthest_position,
        journey_state,
        won_amount,
        '{{ slice_type }}' as slice_type,
        {{ slice_value }} as slice_value,
        {{ slice_key }}::bigint as slice_employee_key
    from begun
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

-- Every journey beside every step from its first on.
possible as (
    select
        sliced.*,
        numbered_steps.step_number,
        numbered_steps.step_name,
        numbered_steps.step_position
    from sliced
    inner join numbered_steps
        on sliced.source_key = numbered_steps.source_key
        and sliced.funnel_name = numbered_steps.funnel_name
    where numbered_steps.step_position >= sliced.entry_position
),

counted as (
    select
        possible.source_key,
        possible.funnel_name,
        possible.month_start_on,
        possible.slice_type,
        possible.slice_value,
        possible.slice_employee_key,
        possible.step_number,
        possible.step_name,
        possible.step_position,
        count(*) as cohort_count,
        count(*) filter (where possible.furthest_position >= possible.step_position)
            as reached_count,
        count(*) filter (where possible.entry_position = possible.step_position)
            as began_here_count,
        count(*) filter (where journey_steps.step_basis = 'link') as linked_count,
        count(*) filter (where journey_steps.step_basis = 'moved') as moved_count,
        count(*) filter (where journey_steps.step_basis = 'client_next_deal') as next_deal_count,
        count(*) filter (where journey_steps.step_basis = 'stage') as stage_count,
        count(*) filter (
            where possible.furthest_position > possible.step_position
            and journey_steps.journey_key is null
        ) as passed_over_count,
        count(*) filter (
            where possible.furthest_position >= possible.step_position
            and possible.entry_position < possible.step_position
        ) as came_from_previous_count,
        count(*) filter (
            where possible.furthest_position >= possible.step_position - 1
            and possible.entry_position < possible.step_position
        ) as previous_reached_count,
        count(*) filter (where possible.entry_position = 1) as first_step_count,
        count(*) filter (
            where possible.entry_position = 1
            and possible.furthest_position >= possible.step_position
        ) as first_step_reached_count,
        {% for state in ['open', 'lost', 'won', 'other'] -%}
        count(*) filter (
            where possible.furthest_position = possible.step_position
            and possible.journey_state = '{{ state }}'
        ) as {{ state }}_here_count,
        {% endfor -%}
        sum(possible.won_amount) filter (
            where possible.furthest_position >= possible.step_position
        ) as won_amount,
        count(journey_steps.seconds_from_previous) as timed_count,
        sum(journey_steps.seconds_from_previous) as seconds_from_previous,
        median(journey_steps.seconds_from_previous) as seconds_from_previous_median
    from possible
    left join journey_steps
        on possible.journey_key = journey_steps.journey_key
        and possible.step_number = journey_steps.step_number
    group by all
)

select
    {{ hash_key([
        'counted.source_key', 'counted.funnel_name', 'counted.month_start_on',
        'counted.slice_type', 'counted.slice_value', "coalesce(counted.slice_employee_key, 0)",
        'counted.step_number',
    ]) }} as journey_step_count_key,
    counted.source_key,
    counted.funnel_name,
    counted.month_start_on,
    counted.slice_type,
    case counted.slice_type
        when 'employee' then {{ employee_label('employees') }} else counted.slice_value
    end as slice_value,
    employees.employee_key as reporting_employee_key,
    counted.step_number,
    counted.step_name,
    counted.cohort_count::bigint as cohort_count,
    counted.reached_count::bigint as reached_count,
    (counted.reached_count / counted.cohort_count)::double as reached_share,
    counted.previous_reached_count::bigint as previous_reached_count,
    counted.came_from_previous_count::bigint as came_from_previous_count,
    (counted.came_from_previous_count / nullif(counted.previous_reached_count, 0))::double
        as came_from_previous_share,
    counted.first_step_count::bigint as first_step_count,
    counted.first_step_reached_count::bigint as first_step_reached_count,
    (counted.first_step_reached_count / nullif(counted.first_step_count, 0))::double
        as first_step_reached_share,
    counted.began_here_count::bigint as began_here_count,
    counted.linked_count::bigint as linked_count,
    counted.moved_count::bigint as moved_count,
    counted.next_deal_count::bigint as next_deal_count,
    counted.stage_count::bigint as stage_count,
    counted.passed_over_count::bigint as passed_over_count,
    counted.open_here_count::bigint as open_here_count,
    counted.lost_here_count::bigint as lost_here_count,
    counted.won_here_count::bigint as won_here_count,
    counted.other_here_count::bigint as other_here_count,
    counted.won_amount::decimal(18, 2) as won_amount,
    counted.timed_count::bigint as timed_count,
    counted.seconds_from_previous::decimal(18, 3) as seconds_from_previous,
    (counted.seconds_from_previous::double / 86400 / nullif(counted.timed_count, 0))::double
        as days_from_previous_mean,
    (counted.seconds_from_previous_median / 86400)::double as days_from_previous_median
from counted
left join employees
    on counted.slice_employee_key = employees.employee_key
