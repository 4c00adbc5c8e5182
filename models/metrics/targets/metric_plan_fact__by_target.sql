-- R8 and R13: goals and norms beside what was done, over the same cards as every other number. A
-- norm holds for each of its periods; of a person it is the share of the company's working days
-- that they were there for, none on a day off. Pace counts complete working days.
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where is_in_totals
),

goals as (
    select * from {{ ref('fct_goals') }}
),

norms as (
    select * from {{ ref('fct_norms') }}
),

periods as (
    select * from {{ ref('dim_periods') }}
),

department_employees as (
    select * from {{ ref('dim_department_employees') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

absent_days as (
    select * from {{ ref('int_absent_days') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
    where is_as_of_day
),

working_hours as (
    select * from {{ ref('stg_company__working_hours') }}
),

calendar as (
    select * from {{ ref('stg_company__calendar') }}
),

periods_of_norms as (
    select
        norms.*,
        periods.starts_on,
        periods.ends_on
    from norms
    inner join periods
        on norms.period_type = periods.period_type
    where
        periods.starts_on >= norms.valid_from_on and periods.starts_on < norms.valid_to_on
),

targets as (
    select
        goal_key as target_key,
        'goal' as target_kind,
        metric_name,
        stage_key,
        reporting_employee_key,
        employee_key,
        department_name,
        goal_for as target_for,
        period_type,
        starts_on,
        case period_type
            when 'day' then starts_on + 1
            when 'week' then starts_on + 7
            when 'month' then (starts_on + interval 1 month)::date
            when 'quarter' then (starts_on + interval 3 months)::date
            else (starts_on + interval 1 year)::date
        end as ends_on,
        goal_value as target_value
    from goals
    union all
    select
        {{ hash_key(['norm_key', 'starts_on']) }} as target_key,
        'norm' as target_kind,
        metric_name,
        stage_key,
        reporting_employee_key,
        employee_key,
        department_name,
        norm_for as target_for,
        period_type,
        starts_on,
        ends_on,
        norm_value as target_value
    from periods_of_norms
),

days_of_targets as (
    select
        target_key,
        target_kind,
        target_for,
        reporting_employee_key,
        {{ date_series('starts_on', '(ends_on - 1)') }}::date as date_day
    from targets
),

-- Goals reach beyond the days that dim_dates knows.
company_days as (
    select
        days_of_targets.*,
        case
            when calendar.date_day is not null then calendar.from_minute
            else working_hours.from_minute
        end is not null as is_working_day
    from days_of_targets
    left join working_hours
        on isodow(days_of_targets.date_day) = working_hours.weekday_number
    left join calendar
        on days_of_targets.date_day = calendar.date_day
),

working_days as (
    select
        company_days.target_key,
        count(*) as company_days_count,
        count(*) filter (where absent_days.date_day is null) as working_days_count,
        count(*) filter (
            where absent_days.date_day is null and company_days.date_day < dates.date_day
        ) as passed_working_days_count
    from company_days
    cross join dates
    left join absent_days
        on company_days.reporting_employee_key = absent_days.person_key
        and company_days.date_day = absent_days.date_day
    where company_days.is_working_day
    group by company_days.target_key
),

-- Whose numbers a target sums; 0 is everybody's.
people as (
    select
        target_key,
        metric_name,
        stage_key,
        case target_for when 'employee' then reporting_employee_key else 0 end as employee_key
    from targets
    where target_for in ('employee', 'company')
    union all
    select
        targets.target_key,
        targets.metric_name,
        targets.stage_key,
        department_employees.employee_key
    from targets
    inner join department_employees
        on targets.department_name = department_employees.department_name
    where targets.target_for = 'department'
),

asked as (
    select
        *,
        case
            when metric_name = 'talk_minutes' then 'talk_seconds'
            -- Without a stage: entries into any of the key stages.
            when metric_name = 'stage_entries' and stage_key is null then 'key_stage_entries'
            else metric_name
        end as counted_metric_name
    from people
),

daily_by_employee as (
    select
        metric_name,
        happened_on,
        reporting_employee_key as employee_key,
        case metric_name when 'stage_entries' then stage_key end as stage_key,
        sum(contribution) as value
    from card_metrics
    where metric_name in (select asked.counted_metric_name from asked)
    group by all
),

daily as (
    select * from daily_by_employee
    union all
    select
        metric_name,
        happened_on,
        0 as employee_key,
        stage_key,
        sum(value) as value
    from daily_by_employee
    group by metric_name, happened_on, stage_key
),

facts as (
    select
        asked.target_key,
        sum(daily.value) as value
    from asked
    inner join days_of_targets
        on asked.target_key = days_of_targets.target_key
    inner join daily
        on asked.employee_key = daily.employee_key
        and days_of_targets.date_day = daily.happened_on
        and asked.counted_metric_name = daily.metric_name
        and coalesce(asked.stage_key, 0) = coalesce(daily.stage_key, 0)
    group by asked.target_key
),

measured as (
    select
        targets.*,
        dates.date_day as as_of_on,
        targets.ends_on <= dates.date_day as is_finished,
        targets.starts_on <= dates.date_day and targets.ends_on > dates.date_day as is_current,
        coalesce(working_days.working_days_count, 0) as working_days_count,
        coalesce(working_days.passed_working_days_count, 0) as passed_working_days_count,
        case
            when targets.target_kind = 'goal' then targets.target_value
            when working_days.company_days_count > 0
                then
                    targets.target_value * working_days.working_days_count
                    / working_days.company_days_count
        end as plan_value,
        case
            when targets.starts_on <= dates.date_day
                then
                    coalesce(facts.value, 0)
                    / case targets.metric_name when 'talk_minutes' then 60 else 1 end
        end as fact_value
    from targets
    cross join dates
    left join working_days
        on targets.target_key = working_days.target_key
    left join facts
        on targets.target_key = facts.target_key
),

-- A team may miss its goal while one of its members exceeds theirs.
members as (
    select
        teams.target_key,
        count(*) as members_count,
        count(*) filter (where single.fact_value >= single.plan_value) as members_reached_count
    from measured as teams
    inner join measured as single
        on teams.target_kind = single.target_kind
        and teams.metric_name = single.metric_name
        and coalesce(teams.stage_key, 0) = coalesce(single.stage_key, 0)
        and teams.period_type = single.period_type
        and teams.starts_on = single.starts_on
        and single.target_for = 'employee'
    left join department_employees
        on teams.department_name = department_employees.department_name
        and single.reporting_employee_key = department_employees.employee_key
    where
        teams.target_for = 'company'
        or (teams.target_for = 'department' and department_employees.employee_key is not null)
    group by teams.target_key
)

select
    measured.target_key,
    measured.target_kind,
    measured.metric_name,
    measured.stage_key,
    stages.stage_name,
    measured.target_for,
    measured.reporting_employee_key,
    employees.employee_name,
    case measured.target_for
        when 'employee' then employees.department_name else measured.department_name
    end as department_name,
    measured.period_type,
    measured.starts_on,
    measured.ends_on,
    measured.is_finished,
    measured.is_current,
    measured.plan_value::double as plan_value,
    measured.fact_value::double as fact_value,
    (measured.fact_value / nullif(measured.plan_value, 0))::double as reached_share,
    (measured.plan_value - measured.fact_value)::double as gap_value,
    measured.working_days_count::integer as working_days_count,
    measured.passed_working_days_count::integer as passed_working_days_count,
    (
        measured.plan_value * measured.passed_working_days_count
        / nullif(measured.working_days_count, 0)
    )::double as pace_value,
    measured.is_finished and measured.fact_value < measured.plan_value as is_below_plan,
    measured.is_current
    and coalesce(
        measured.fact_value * measured.working_days_count
        < measured.plan_value * measured.passed_working_days_count,
        false
    ) as is_behind_pace,
    members.members_count,
    members.members_reached_count
from measured
left join employees
    on measured.reporting_employee_key = employees.employee_key
left join stages
    on measured.stage_key = stages.stage_key
left join members
    on measured.target_key = members.target_key
