-- R16: how many open deals each person had at the end of a day, against the company's limit, beside
-- what they won and lost on it: group by load_band to see where closing suffers.
with stock as (
    select * from {{ ref('fct_open_pipeline') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role in ('sales', 'setter')
),

card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where metric_name in ('won', 'lost', 'won_amount') and is_in_totals
),

employees as (
    select * from {{ ref('dim_employees') }}
),

rules as (
    select * from {{ ref('stg_company__report_rules') }}
),

held as (
    select
        stock.source_key,
        stock.stock_on,
        stock.reporting_employee_key,
        sum(stock.open_deals_count) as open_deals_count,
        bool_or(stock.is_reconstructed) as is_reconstructed
    from stock
    inner join pipelines
        on stock.pipeline_key = pipelines.pipeline_key
    group by stock.source_key, stock.stock_on, stock.reporting_employee_key
),

closed as (
    select
        source_key,
        happened_on,
        reporting_employee_key,
        coalesce(sum(contribution) filter (where metric_name = 'won'), 0) as won_count,
        coalesce(sum(contribution) filter (where metric_name = 'won_amount'), 0) as won_amount,
        coalesce(sum(contribution) filter (where metric_name <> 'won_amount'), 0)
            as closed_count
    from card_metrics
    group by source_key, happened_on, reporting_employee_key
),

joined as (
    select
        coalesce(held.source_key, closed.source_key) as source_key,
        coalesce(held.stock_on, closed.happened_on) as stock_on,
        coalesce(held.reporting_employee_key, closed.reporting_employee_key)
            as reporting_employee_key,
        coalesce(held.open_deals_count, 0) as open_deals_count,
        held.is_reconstructed,
        coalesce(closed.won_count, 0) as won_count,
        coalesce(closed.won_amount, 0) as won_amount,
        coalesce(closed.closed_count, 0) as closed_count
    from held
    full outer join closed
        on held.source_key = closed.source_key
        and held.stock_on = closed.happened_on
        and held.reporting_employee_key = closed.reporting_employee_key
)

select
    {{ hash_key([
        'joined.source_key', 'joined.stock_on', 'joined.reporting_employee_key', "'load'",
    ]) }} as workload_key,
    joined.source_key,
    joined.stock_on,
    joined.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    joined.open_deals_count::bigint as open_deals_count,
    rules.open_cards_limit,
    joined.open_deals_count > rules.open_cards_limit as is_over_limit,
    case
        when joined.open_deals_count = 0 then '0'
        when joined.open_deals_count * 2 <= rules.open_cards_limit then 'up to half the limit'
        when joined.open_deals_count <= rules.open_cards_limit then 'up to the limit'
        when joined.open_deals_count <= rules.open_cards_limit * 2 then 'up to twice the limit'
        else 'above twice the limit'
    end as load_band,
    joined.won_count::bigint as won_count,
    joined.won_amount::decimal(18, 2) as won_amount,
    joined.closed_count::bigint as closed_count,
    joined.is_reconstructed
from joined
cross join rules
inner join employees
    on joined.reporting_employee_key = employees.employee_key
