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

-- Whose deals are open is said of now, also of an earlier day: nobody is named who has left since.
dated as (
    select
        open_stays.source_key,
        open_stays.pipeline_key,
        open_stays.stage_key,
        deals.currency_code,
        deals.amount,
        coalesce(employees.current_reporting_key, {{ nobody_key() }}) as reporting_employee_key,
        open_stays.began_on,
        open_stays.ended_on
    from open_stays
    inner join deals
        on open_stays.deal_key = deals.deal_key
    left join employees
        on coalesce(open_stays.owner_employee_key, {{ nobody_key() }}) = employees.employee_key
    -- What begins and ends on one day is in no day's stock.
    where open_stays.ended_on is null or open_stays.ended_on > open_stays.began_on
),

-- What stands together, by a number: the running sums of a million days and stocks take a third
-- longer by five columns, two of them texts.
stocks as (
    select
        source_key,
        pipeline_key,
        stage_key,
        currency_code,
        reporting_employee_key,
        row_number() over (
            order by source_key, pipeline_key, stage_key, currency_code, reporting_employee_key
        ) as stock_number
    from dated
    group by source_key, pipeline_key, stage_key, currency_code, reporting_employee_key
),

numbered as (
    select
        stocks.stock_number,
        dated.amount,
        dated.began_on,
        dated.ended_on
    from dated
    inner join stocks
        on dated.source_key = stocks.source_key
        and dated.pipeline_key = stocks.pipeline_key
        and dated.stage_key = stocks.stage_key
        and dated.currency_code is not distinct from stocks.currency_code
        and dated.reporting_employee_key = stocks.reporting_employee_key
),

differences as (
    select
        stock_number,
        began_on as changed_on,
        1 as deals_difference,
        coalesce(amount, 0) as amount_difference,
        case when amount is null then 1 else 0 end as without_amount_difference
    from numbered
    union all
    select
        stock_number,
        ended_on as changed_on,
        -1 as deals_difference,
        -coalesce(amount, 0) as amount_difference,
        case when amount is null then -1 else 0 end as without_amount_difference
    from numbered
    where ended_on is not null
),

summed as (
    select
        stock_number,
        changed_on,
        sum(deals_difference) as deals_difference,
        sum(amount_difference) as amount_difference,
        sum(without_amount_difference) as without_amount_difference
    from differences
    group by stock_number, changed_on
),

running as (
    select
        stock_number,
        changed_on,
        lead(changed_on) over stock as next_changed_on,
        sum(deals_difference) over stock as deals_count,
        sum(amount_difference) over stock as amount,
        sum(without_amount_difference) over stock as without_amount_count
    from summed
    window stock as (partition by stock_number order by changed_on)
),

-- One row per day on which something stood there, up to the connection's as-of.
spread as (
    select
        stocks.*,
        running.deals_count,
        running.amount,
        running.without_amount_count,
        {{ date_series(
            'running.changed_on',
            'least(coalesce(running.next_changed_on - 1, connections.as_of_on), connections.as_of_on)'
        ) }}::date as stock_on
    from running
    inner join stocks
        on running.stock_number = stocks.stock_number
    inner join connections
        on stocks.source_key = connections.source_key
    where running.deals_count > 0
),

first_loads as (
    select
        load_log.source_key,
        min(load_log.cut_at) as first_cut_at
    from load_log
    group by load_log.source_key
)

select
    {{ hash_key([
        'spread.source_key', 'spread.stock_on', 'spread.pipeline_key', 'spread.stage_key',
        'spread.reporting_employee_key', 'spread.currency_code',
    ]) }} as open_pipeline_key,
    spread.source_key,
    spread.stock_on,
    spread.pipeline_key,
    spread.stage_key,
    spread.reporting_employee_key,
    spread.currency_code,
    spread.deals_count::bigint as open_deals_count,
    spread.amount::decimal(18, 2) as open_amount,
    spread.without_amount_count::bigint as without_amount_count,
    -- Days before the first load are rebuilt from the history, with the amounts of now.
    coalesce(dates.ends_at <= first_loads.first_cut_at, true) as is_reconstructed
from spread
inner join dates
    on spread.stock_on = dates.date_day
left join first_loads
    on spread.source_key = first_loads.source_key
