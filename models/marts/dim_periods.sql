-- Days, weeks, months, quarters and years up to as-of, each with the periods that it is compared
-- with: a finished one with the finished one before, an unfinished one with as many complete days
-- of it. The day of as-of is not complete.
with dates as (
    select * from {{ ref('dim_dates') }}
),

report as (
    select date_day as as_of_on
    from dates
    where is_as_of_day
),

starts as (
    {% for period_type, column in {
        'day': 'date_day', 'week': 'week_start_on', 'month': 'month_start_on',
        'quarter': 'quarter_start_on', 'year': 'year_start_on',
    }.items() -%}
    select
        '{{ period_type }}' as period_type,
        dates.{{ column }} as starts_on,
        interval 1 {{ period_type }} as length
    from dates
    inner join report
        on dates.date_day <= report.as_of_on
    group by dates.{{ column }}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

ended as (
    select
        starts.period_type,
        starts.starts_on,
        (starts.starts_on + starts.length)::date as ends_on,
        report.as_of_on,
        (starts.starts_on - starts.length)::date as previous_starts_on,
        -- A week is compared with the one of the same weekdays, 52 weeks before.
        case
            when starts.period_type = 'week' then starts.starts_on - 364
            else (starts.starts_on - interval 1 year)::date
        end as year_before_starts_on,
        starts.length
    from starts
    cross join report
),

compared as (
    select
        *,
        ends_on <= as_of_on as is_finished,
        least(ends_on, as_of_on + 1) as counted_until_on,
        least(ends_on, as_of_on) as compared_until_on,
        (least(ends_on, as_of_on) - starts_on)::integer as complete_days_count,
        -- A year before 29 February there is no such day.
        period_type <> 'day' or day(year_before_starts_on) = day(starts_on) as has_year_before
    from ended
),

bounded as (
    select
        *,
        case
            when is_finished then starts_on
            else least(starts_on, previous_starts_on + complete_days_count)
        end as previous_until_on,
        case
            when has_year_before
                then least(
                    (year_before_starts_on + length)::date,
                    case
                        when is_finished then (year_before_starts_on + length)::date
                        else year_before_starts_on + complete_days_count
                    end
                )
        end as year_before_until_on
    from compared
),

working_days as (
    select
        date_day,
        sum(is_working_day::integer) over (order by date_day) - is_working_day::integer
            as working_days_before
    from dates
)

select
    {{ hash_key(["'period'", 'bounded.period_type', 'bounded.starts_on']) }} as period_key,
    bounded.period_type,
    bounded.starts_on,
    bounded.ends_on,
    bounded.is_finished,
    bounded.starts_on <= bounded.as_of_on and bounded.ends_on > bounded.as_of_on as is_current,
    bounded.counted_until_on,
    bounded.compared_until_on,
    bounded.complete_days_count,
    bounded.previous_starts_on,
    bounded.previous_until_on,
    case when bounded.has_year_before then bounded.year_before_starts_on end
        as year_before_starts_on,
    bounded.year_before_until_on,
    (ends.working_days_before - begins.working_days_before)::integer as working_days_count,
    (previous_ends.working_days_before - previous_begins.working_days_before)::integer
        as previous_working_days_count,
    (year_ends.working_days_before - year_begins.working_days_before)::integer
        as year_before_working_days_count
from bounded
left join working_days as begins
    on bounded.starts_on = begins.date_day
left join working_days as ends
    on bounded.compared_until_on = ends.date_day
left join working_days as previous_begins
    on bounded.previous_starts_on = previous_begins.date_day
left join working_days as previous_ends
    on bounded.previous_until_on = previous_ends.date_day
left join working_days as year_begins
    on bounded.year_before_starts_on = year_begins.date_day
left join working_days as year_ends
    on bounded.year_before_until_on = year_ends.date_day
