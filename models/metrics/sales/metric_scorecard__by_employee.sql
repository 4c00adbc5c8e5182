-- R24: every number of a seller beside the company's and the place in the department. The company's
-- is the mean of its sellers for sums, its own ratio for ratios. The activity index (R14) stands in
-- the months.
{{ config(materialized='touched_parts') }}

with kpi as (
    select * from {{ ref('metric_sales_kpi__by_period') }}
    where
        period_type <> 'day'
        and {{ of_touched('numbers', part_key(['metric_name', 'period_key'])) }}
),

sellers as (
    select * from {{ ref('dim_sellers') }}
),

definitions as (
    select * from {{ ref('kpi_definitions') }}
),

plan_fact as (
    select * from {{ ref('metric_plan_fact__by_target') }}
    where target_kind = 'goal' and target_for = 'employee' and stage_key is null
),

activity as (
    select * from {{ ref('metric_activity_index__by_month') }}
),

periods as (
    select * from {{ ref('dim_periods') }}
    where period_type = 'month'
),

indices as (
    select
        {{ hash_key(['activity.activity_index_key', "'scorecard'"]) }} as scorecard_key,
        'activity_index' as metric_name,
        periods.period_key,
        periods.period_type,
        periods.starts_on,
        periods.ends_on,
        periods.is_finished,
        periods.is_current,
        sellers.source_key,
        activity.reporting_employee_key,
        activity.employee_name,
        activity.department_name,
        (100 * activity.points_per_working_day)::decimal(24, 4) as numerator,
        activity.points_at_100::decimal(24, 4) as denominator,
        activity.activity_index as value,
        -- A sum of decimals: one of doubles would depend on the order of the rows.
        avg(activity.activity_index::decimal(24, 9)) over (
            partition by activity.month_start_on
        )::double as company_value,
        case
            when activity.activity_index is not null
                then rank() over (
                    partition by activity.month_start_on, activity.department_name
                    order by -activity.activity_index asc nulls last
                )
        end as department_rank,
        count(activity.activity_index) over (
            partition by activity.month_start_on, activity.department_name
        ) as department_sellers_count
    from activity
    inner join periods
        on activity.month_start_on = periods.starts_on
    inner join sellers
        on activity.reporting_employee_key = sellers.employee_key
),

of_sellers as (
    select
        kpi.*,
        sellers.employee_name,
        sellers.department_name,
        coalesce(definitions.best_end, 'lower') as best_end,
        definitions.denominator_metric is null and definitions.metric_name is not null as is_sum,
        coalesce(definitions.factor, 1) as factor
    from kpi
    inner join sellers
        on kpi.reporting_employee_key = sellers.employee_key
    left join definitions
        on kpi.metric_name = definitions.metric_name
    where kpi.slice_type = 'employee'
),

of_company as (
    select
        metric_name,
        period_key,
        source_key,
        value as company_value
    from kpi
    where slice_type = 'all'
),

ranked as (
    select
        *,
        sum(numerator) over (partition by metric_name, period_key, source_key)::double
        / nullif(count(value) over (partition by metric_name, period_key, source_key), 0)
        / factor as sellers_mean,
        case
            when value is not null
                then rank() over (
                    partition by metric_name, period_key, source_key, department_name
                    order by
                        case best_end when 'higher' then -value else value end asc nulls last
                )
        end as department_rank,
        count(value) over (
            partition by metric_name, period_key, source_key, department_name
        ) as department_sellers_count
    from of_sellers
)

select
    {{ hash_key(['ranked.sales_kpi_key', "'scorecard'"]) }} as scorecard_key,
    ranked.metric_name,
    ranked.period_key,
    ranked.period_type,
    ranked.starts_on,
    ranked.ends_on,
    ranked.is_finished,
    ranked.is_current,
    ranked.source_key,
    ranked.reporting_employee_key,
    ranked.employee_name,
    ranked.department_name,
    ranked.numerator,
    ranked.denominator,
    ranked.value,
    case when ranked.is_sum then ranked.sellers_mean else of_company.company_value end
        as company_value,
    ranked.department_rank,
    ranked.department_sellers_count,
    plan_fact.plan_value,
    plan_fact.reached_share,
    ranked.growth_share,
    ranked.growth_note
from ranked
left join of_company
    on ranked.metric_name = of_company.metric_name
    and ranked.period_key = of_company.period_key
    and ranked.source_key = of_company.source_key
left join plan_fact
    on ranked.metric_name = plan_fact.metric_name
    and ranked.reporting_employee_key = plan_fact.reporting_employee_key
    and ranked.period_type = plan_fact.period_type
    and ranked.starts_on = plan_fact.starts_on
union all
select
    indices.*,
    null as plan_value,
    null as reached_share,
    null as growth_share,
    null as growth_note
from indices
