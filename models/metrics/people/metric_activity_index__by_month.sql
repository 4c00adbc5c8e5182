-- R14: weighted actions per working day of each seller, the team's median being 100. In a team of
-- fewer than four the own mean of the three full months before is 100.
with activity as (
    select * from {{ ref('metric_employee_activity__by_day') }}
),

sellers as (
    select * from {{ ref('dim_sellers') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

report as (
    select date_day as as_of_on
    from dates
    where is_as_of_day
),

absent_days as (
    select * from {{ ref('int_absent_days') }}
),

first_days as (
    select min(active_on) as first_on from activity
),

days_of_sellers as (
    select
        sellers.employee_key,
        {{ date_series(
            'greatest(coalesce(sellers.seller_from_on, first_days.first_on), first_days.first_on)',
            'least(sellers.seller_until_on - 1, report.as_of_on)'
        ) }}::date as date_day
    from sellers
    cross join report
    cross join first_days
),

working as (
    select
        days_of_sellers.employee_key,
        dates.month_start_on,
        -- Only the month in which somebody began can be part of one, before the present one.
        min(days_of_sellers.date_day) = dates.month_start_on as is_from_first_day,
        count(*) filter (where dates.is_working_day and absent_days.date_day is null)
            as working_days_count
    from days_of_sellers
    inner join dates
        on days_of_sellers.date_day = dates.date_day
    left join absent_days
        on days_of_sellers.employee_key = absent_days.person_key
        and days_of_sellers.date_day = absent_days.date_day
    group by days_of_sellers.employee_key, dates.month_start_on
),

points as (
    select
        activity.reporting_employee_key as employee_key,
        dates.month_start_on,
        sum(activity.activity_points::decimal(18, 1))::double as activity_points
    from activity
    inner join dates
        on activity.active_on = dates.date_day
    group by activity.reporting_employee_key, dates.month_start_on
),

rated as (
    select
        sellers.employee_key,
        sellers.employee_name,
        sellers.department_name,
        working.month_start_on,
        working.working_days_count,
        working.is_from_first_day,
        coalesce(points.activity_points, 0) as activity_points,
        coalesce(points.activity_points, 0) / nullif(working.working_days_count, 0)
            as points_per_working_day
    from working
    inner join sellers
        on working.employee_key = sellers.employee_key
    left join points
        on working.employee_key = points.employee_key
        and working.month_start_on = points.month_start_on
),

compared as (
    select
        *,
        count(points_per_working_day) over team as team_sellers_count,
        median(points_per_working_day) over team as team_median,
        count(points_per_working_day) filter (where is_from_first_day) over own_past
            as own_months_count,
        avg(points_per_working_day) filter (where is_from_first_day) over own_past as own_mean
    from rated
    window
        team as (partition by department_name, month_start_on),
        own_past as (
            partition by employee_key
            order by month_start_on
            rows between 3 preceding and 1 preceding
        )
)

select
    {{ hash_key(['employee_key', 'month_start_on', "'activity index'"]) }} as activity_index_key,
    month_start_on,
    employee_key as reporting_employee_key,
    employee_name,
    department_name,
    working_days_count::integer as working_days_count,
    activity_points,
    points_per_working_day,
    team_sellers_count,
    case
        when team_sellers_count >= 4 then 'team'
        when own_months_count = 3 then 'own_past'
        else 'none'
    end as index_basis,
    case
        when team_sellers_count >= 4 then team_median
        when own_months_count = 3 then own_mean
    end as points_at_100,
    100 * points_per_working_day / nullif(
        case
            when team_sellers_count >= 4 then team_median
            when own_months_count = 3 then own_mean
        end,
        0
    ) as activity_index
from compared
