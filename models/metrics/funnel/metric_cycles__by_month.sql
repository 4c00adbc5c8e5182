-- R4: how long deals took from creation to the win, by the month of the win, beside the month
-- before: whole pipelines, and by owner at the win, their department, and product.
with closes as (
    select * from {{ ref('fct_deal_closes') }}
    where is_counted and outcome = 'won'
),

deals as (
    select * from {{ ref('fct_deals') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role <> 'ignore'
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

won as (
    select
        closes.source_key,
        closes.pipeline_key,
        closes.reporting_employee_key,
        employees.department_name,
        deals.product_name,
        dates.month_start_on,
        closes.cycle_seconds
    from closes
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
    inner join deals
        on closes.deal_key = deals.deal_key
    inner join employees
        on closes.reporting_employee_key = employees.employee_key
    inner join dates
        on closes.closed_on = dates.date_day
),

sliced as (
    {% for slice_type, (slice_key, slice_value) in {
        'all': ('0', "'all'"),
        'employee': ('reporting_employee_key', "''"),
        'department': ('0', 'department_name'),
        'product': ('0', 'product_name'),
    }.items() -%}
    select
        source_key,
        pipeline_key,
        month_start_on,
        '{{ slice_type }}' as slice_type,
        {{ slice_key }}::bigint as slice_key,
        {{ slice_value }} as slice_value,
        cycle_seconds
    from won
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

figures as (
    select
        source_key,
        pipeline_key,
        month_start_on,
        slice_type,
        slice_key,
        slice_value,
        count(*) as won_count,
        (sum(cycle_seconds) / 86400)::double as cycle_days_sum,
        (median(cycle_seconds) / 86400)::double as cycle_days_median,
        (quantile_cont(cycle_seconds, 0.9) / 86400)::double as cycle_days_p90
    from sliced
    group by source_key, pipeline_key, month_start_on, slice_type, slice_key, slice_value
)

select
    {{ hash_key([
        'figures.pipeline_key', 'figures.month_start_on', 'figures.slice_type',
        'figures.slice_key', 'figures.slice_value', "'cycle'",
    ]) }} as cycle_key,
    figures.source_key,
    figures.pipeline_key,
    pipelines.pipeline_name,
    figures.month_start_on,
    figures.slice_type,
    case
        when figures.slice_type = 'employee' then {{ employee_label('employees') }}
        else figures.slice_value
    end as slice_value,
    employees.employee_key as reporting_employee_key,
    figures.won_count::bigint as won_count,
    figures.cycle_days_sum,
    figures.cycle_days_sum / figures.won_count as cycle_days_mean,
    figures.cycle_days_median,
    figures.cycle_days_p90,
    before.won_count::bigint as previous_won_count,
    before.cycle_days_sum / before.won_count as previous_cycle_days_mean,
    before.cycle_days_median as previous_cycle_days_median
from figures
inner join pipelines
    on figures.pipeline_key = pipelines.pipeline_key
left join figures as before
    on figures.pipeline_key = before.pipeline_key
    and figures.slice_type = before.slice_type
    and figures.slice_key = before.slice_key
    and figures.slice_value = before.slice_value
    and (figures.month_start_on - interval 1 month)::date = before.month_start_on
left join employees
    on figures.slice_type = 'employee'
    and figures.slice_key = employees.employee_key
