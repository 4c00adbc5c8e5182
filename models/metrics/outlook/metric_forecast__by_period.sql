-- R9: what the current day, week and month will bring: won so far, and the chances of the open
-- deals expected in the rest of it. A deal whose planned date has passed is expected in no period.
-- The next build keeps the forecast before it makes another (keep_forecasts).
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where metric_name in ('won', 'won_amount') and pipeline_key is not null
),

open_cards as (
    select * from {{ ref('metric_open_cards__by_card') }}
    where card_type = 'deal' and not is_overdue
),

periods as (
    select * from {{ ref('dim_periods') }}
    where is_current and period_type in ('day', 'week', 'month')
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
    where pipeline_role in ('sales', 'setter')
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

-- Of every connection the report's day; its own as-of is what the forecast has seen.
bounds as (
    select
        connections.source_key,
        connections.report_as_of_on as made_on,
        connections.as_of_at as made_at,
        periods.period_type,
        periods.starts_on,
        periods.ends_on,
        {{ local_midnight('periods.ends_on', 'connections.time_zone') }} as ends_at
    from connections
    cross join periods
    where connections.is_crm
),

parts as (
    select
        bounds.source_key,
        bounds.period_type,
        card_metrics.pipeline_key,
        card_metrics.reporting_employee_key,
        case when card_metrics.metric_name = 'won' then card_metrics.contribution end as won_count,
        case when card_metrics.metric_name = 'won_amount' then card_metrics.contribution end
            as won_amount,
        null as expected_deals_count,
        null as expected_count,
        null as expected_amount,
        null as late_expected_count,
        null as late_expected_amount
    from card_metrics
    inner join bounds
        on card_metrics.source_key = bounds.source_key
        and card_metrics.happened_on >= bounds.starts_on
        and card_metrics.happened_on < bounds.ends_on
    union all
    select
        bounds.source_key,
        bounds.period_type,
        open_cards.pipeline_key,
        open_cards.current_reporting_employee_key as reporting_employee_key,
        null as won_count,
        null as won_amount,
        1 as expected_deals_count,
        open_cards.weight_share::decimal(18, 9) as expected_count,
        open_cards.weighted_amount as expected_amount,
        -- Longer on its stage than half of the won ones needed to the win: expected at once.
        case
            when open_cards.expected_close_at = bounds.made_at
                then open_cards.weight_share::decimal(18, 9)
        end as late_expected_count,
        case
            when open_cards.expected_close_at = bounds.made_at then open_cards.weighted_amount
        end as late_expected_amount
    from open_cards
    inner join bounds
        on open_cards.source_key = bounds.source_key
        and open_cards.expected_close_at >= bounds.made_at
        and open_cards.expected_close_at < bounds.ends_at
),

-- Dense: a listed pipeline of which nothing is expected says 0, at nobody.
slices as (
    select
        bounds.source_key,
        bounds.period_type,
        pipelines.pipeline_key,
        {{ nobody_key() }} as reporting_employee_key
    from bounds
    inner join pipelines
        on bounds.source_key = pipelines.source_key
        and pipelines.is_listed
        and not pipelines.is_archived
    union
    select
        parts.source_key,
        parts.period_type,
        parts.pipeline_key,
        parts.reporting_employee_key
    from parts
    inner join pipelines
        on parts.pipeline_key = pipelines.pipeline_key
),

summed as (
    select
        slices.source_key,
        slices.period_type,
        slices.pipeline_key,
        slices.reporting_employee_key,
        coalesce(sum(parts.won_count), 0) as won_count,
        coalesce(sum(parts.won_amount), 0) as won_amount,
        count(parts.expected_deals_count) as expected_deals_count,
        coalesce(sum(parts.expected_count), 0) as expected_count,
        coalesce(sum(parts.expected_amount), 0) as expected_amount,
        coalesce(sum(parts.late_expected_count), 0) as late_expected_count,
        coalesce(sum(parts.late_expected_amount), 0) as late_expected_amount
    from slices
    left join parts
        on slices.source_key = parts.source_key
        and slices.period_type = parts.period_type
        and slices.pipeline_key = parts.pipeline_key
        and slices.reporting_employee_key = parts.reporting_employee_key
    group by
        slices.source_key, slices.period_type, slices.pipeline_key,
        slices.reporting_employee_key
)

select
    {{ hash_key([
        'summed.source_key', 'bounds.made_on', 'summed.period_type', 'summed.pipeline_key',
        'summed.reporting_employee_key', "'forecast'",
    ]) }} as forecast_key,
    bounds.made_on,
    bounds.made_at,
    summed.source_key,
    summed.period_type,
    bounds.starts_on,
    bounds.ends_on,
    summed.pipeline_key,
    pipelines.pipeline_name,
    pipelines.pipeline_role = 'sales' as is_in_totals,
    summed.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    summed.won_count::bigint as won_count,
    summed.won_amount::decimal(18, 2) as won_amount,
    summed.expected_deals_count::bigint as expected_deals_count,
    summed.expected_count::double as expected_count,
    summed.expected_amount::decimal(18, 2) as expected_amount,
    summed.late_expected_count::double as late_expected_count,
    summed.late_expected_amount::decimal(18, 2) as late_expected_amount,
    (summed.won_count + summed.expected_count)::double as forecast_count,
    (summed.won_amount + summed.expected_amount)::decimal(18, 2) as forecast_amount
from summed
inner join bounds
    on summed.source_key = bounds.source_key
    and summed.period_type = bounds.period_type
inner join pipelines
    on summed.pipeline_key = pipelines.pipeline_key
inner join employees
    on summed.reporting_employee_key = employees.employee_key
