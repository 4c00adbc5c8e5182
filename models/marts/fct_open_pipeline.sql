-- The stock of open deals at the end of each day, from differences: a deal's stay on an open stage
-- under one owner adds one on the day it begins and takes one on the day it ends. Never deal × day.
with open_stays as (
    select * from {{ ref('int_open_stays') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

load_log as (
    select * from {{ ref('int_load_log') }}
),

dated as (
    select
        open_stays.source_key,
        open_stays.pipeline_key,
        open_stays.stage_key,
        deals.currency_code,
        deals.amount,
        coalesce(open_stays.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
        open_stays.began_on,
        open_stays.ended_on
    from open_stays
    inner join deals
        on open_stays.deal_key = deals.deal_key
    -- What begins and ends on one day is in no day's stock.
    where open_stays.ended_on is null or open_stays.ended_on > open_stays.began_on
),

differences as (
    select
        source_key,
        pipeline_key,
        stage_key,
        currency_code,
        owner_employee_key,
        began_on as changed_on,
        1 as deals_difference,
        coalesce(amount, 0) as amount_difference,
        case when amount is null then 1 else 0 end as without_amount_difference
    from dated
    union all
    select
        source_key,
        pipeline_key,
        stage_key,
        currency_code,
        owner_employee_key,
        ended_on as changed_on,
        -1 as deals_difference,
        -coalesce(amount, 0) as amount_difference,
        case when amount is null then -1 else 0 end as without_amount_difference
    from dated
    where ended_on is not null
),

summed as (
    select
        source_key,
        pipeline_key,
        stage_key,
        currency_code,
        owner_employee_key,
        changed_on,
        sum(deals_difference) as deals_difference,
        sum(amount_difference) as amount_difference,
        sum(without_amount_difference) as without_amount_difference
    from differences
    group by
        source_key, pipeline_key, stage_key, currency_code, owner_employee_key, changed_on
),

running as (
    select
        source_key,
        pipeline_key,
        stage_key,
        currency_code,
        owner_employee_key,
        changed_on,
        lead(changed_on) over stock as next_changed_on,
        sum(deals_difference) over stock as deals_count,
        sum(amount_difference) over stock as amount,
        sum(without_amount_difference) over stock as without_amount_count
    from summed
    window stock as (
        partition by source_key, pipeline_key, stage_key, currency_code, owner_employee_key
        order by changed_on
    )
),

-- One row per day on which something stood there, up to the connection's as-of.
spread as (
    select
        running.*,
        {{ date_series(
            'running.changed_on',
            'least(coalesce(running.next_changed_on - 1, connections.as_of_on), connections.as_of_on)'
        ) }}::date as stock_on
    from running
    inner join connections
        on running.source_key = connections.source_key
    where running.deals_count > 0
),

first_loads as (
    select
        load_log.source_key,
        min(load_log.cut_at) as first_cut_at
    from load_log
    group by load_log.source_key
),

-- Whose deals are open is said of now, also of an earlier day: nobody is named who has left since.
folded as (
    select
        spread.source_key,
        spread.stock_on,
        spread.pipeline_key,
        spread.stage_key,
        coalesce(employees.current_reporting_key, {{ nobody_key() }}) as reporting_employee_key,
        spread.currency_code,
        spread.deals_count,
        spread.amount,
        spread.without_amount_count
    from spread
    left join employees
        on spread.owner_employee_key = employees.employee_key
)

select
    {{ hash_key([
        'folded.source_key', 'folded.stock_on', 'folded.pipeline_key', 'folded.stage_key',
        'folded.reporting_employee_key', 'folded.currency_code',
    ]) }} as open_pipeline_key,
    folded.source_key,
    folded.stock_on,
    folded.pipeline_key,
    folded.stage_key,
    folded.reporting_employee_key,
    folded.currency_code,
    sum(folded.deals_count)::bigint as open_deals_count,
    sum(folded.amount)::decimal(18, 2) as open_amount,
    sum(folded.without_amount_count)::bigint as without_amount_count,
    -- Days before the first load are rebuilt from the history, with the amounts of now.
    coalesce(dates.ends_at <= first_loads.first_cut_at, true) as is_reconstructed
from folded
inner join dates
    on folded.stock_on = dates.date_day
left join first_loads
    on folded.source_key = first_loads.source_key
group by
    folded.source_key,
    folded.stock_on,
    folded.pipeline_key,
    folded.stage_key,
    folded.reporting_employee_key,
    folded.currency_code,
    dates.ends_at,
    first_loads.first_cut_at
