-- New rows of each list and local day beside what is usual on that weekday: the median of the same
-- weekday in the eight weeks before, and how far these lie from it. Days before the first row and
-- the day of as-of, which is not over, are left out; a day off by the company's calendar is not
-- judged, nor one with fewer than four such weekdays before it.
with new_rows as (
    select * from {{ ref('int_new_rows_by_day') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_configured
),

dates as (
    select * from {{ ref('dim_dates') }}
),

rules as (
    select * from {{ ref('stg_company__quality_rules') }}
),

spans as (
    select
        new_rows.source_key,
        new_rows.entity,
        min(new_rows.date_day) as first_day,
        max(connections.as_of_on) - 1 as last_day
    from new_rows
    inner join connections
        on new_rows.source_key = connections.source_key
    group by new_rows.source_key, new_rows.entity
),

days as (
    select
        source_key,
        entity,
        {{ date_series('first_day', 'last_day') }}::date as date_day
    from spans
),

counted as (
    select
        days.source_key,
        days.entity,
        days.date_day,
        coalesce(new_rows.rows_count, 0) as rows_count
    from days
    left join new_rows
        on days.source_key = new_rows.source_key
        and days.entity = new_rows.entity
        and days.date_day = new_rows.date_day
),

weeks as (
    select {{ unnest_list('generate_series(1, 8)') }}::integer as weeks_later
),

same_weekdays as (
    select
        counted.source_key,
        counted.entity,
        counted.date_day + 7 * weeks.weeks_later as date_day,
        counted.rows_count
    from counted
    cross join weeks
),

medians as (
    select
        source_key,
        entity,
        date_day,
        count(*) as sample_count,
        median(rows_count) as usual_count
    from same_weekdays
    group by source_key, entity, date_day
),

spreads as (
    select
        same_weekdays.source_key,
        same_weekdays.entity,
        same_weekdays.date_day,
        -- The median distance times 1.4826 is a standard deviation where counts are normal;
        -- whatever is counted varies at least by the root of its number.
        greatest(
            1.4826 * median(abs(same_weekdays.rows_count - medians.usual_count)),
            sqrt(any_value(medians.usual_count))
        ) as spread
    from same_weekdays
    inner join medians
        on same_weekdays.source_key = medians.source_key
        and same_weekdays.entity = medians.entity
        and same_weekdays.date_day = medians.date_day
    group by same_weekdays.source_key, same_weekdays.entity, same_weekdays.date_day
),

compared as (
    select
        counted.source_key,
        counted.entity,
        counted.date_day,
        counted.rows_count,
        coalesce(medians.sample_count, 0) as sample_count,
        medians.usual_count,
        -- Not `greatest`, which takes an unknown median for 0.
        case
            when medians.usual_count >= 3 * spreads.spread
                then round(medians.usual_count - 3 * spreads.spread, 1)
            when medians.usual_count is not null then 0
        end as lowest_count,
        round(medians.usual_count + 3 * spreads.spread, 1) as highest_count,
        medians.sample_count >= 4
        and medians.usual_count >= rules.usual_rows_min
        and (dates.is_working_day or extract(isodow from counted.date_day) > 5) as is_judged
    from counted
    cross join rules
    inner join dates
        on counted.date_day = dates.date_day
    left join medians
        on counted.source_key = medians.source_key
        and counted.entity = medians.entity
        and counted.date_day = medians.date_day
    left join spreads
        on counted.source_key = spreads.source_key
        and counted.entity = spreads.entity
        and counted.date_day = spreads.date_day
)

select
    source_key,
    entity,
    date_day,
    rows_count,
    sample_count,
    usual_count,
    lowest_count,
    highest_count,
    case
        when not coalesce(is_judged, false) then 'too_few_to_say'
        when rows_count < lowest_count or rows_count = 0 then 'fewer'
        when rows_count > highest_count then 'more'
        else 'usual'
    end as volume_verdict
from compared
