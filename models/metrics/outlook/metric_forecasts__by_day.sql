-- R9: every day's forecast as it was made, beside what came of the period once it was over. Made
-- before somebody left, a forecast keeps the name of that day.
with kept as (
    select * from {{ ref('stg_derived__forecasts') }}
),

current_forecast as (
    select * from {{ ref('metric_forecast__by_period') }}
),

card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where metric_name in ('won', 'won_amount') and pipeline_key is not null
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
    where is_as_of_day
),

kept_days as (
    select
        source_key,
        made_on
    from kept
    group by source_key, made_on
),

forecasts as (
    select
        kept.source_key,
        kept.made_on,
        kept.made_at,
        kept.period_type,
        kept.starts_on,
        kept.ends_on,
        kept.pipeline_key,
        {{ reporting_key('employees', 'kept.made_on', 'kept.reporting_employee_key') }}
            as reporting_employee_key,
        kept.won_count,
        kept.won_amount,
        kept.expected_deals_count,
        kept.expected_count,
        kept.expected_amount
    from kept
    left join employees
        on kept.reporting_employee_key = employees.employee_key
    union all
    select
        current_forecast.source_key,
        current_forecast.made_on,
        current_forecast.made_at,
        current_forecast.period_type,
        current_forecast.starts_on,
        current_forecast.ends_on,
        current_forecast.pipeline_key,
        current_forecast.reporting_employee_key,
        current_forecast.won_count,
        current_forecast.won_amount,
        current_forecast.expected_deals_count,
        current_forecast.expected_count,
        current_forecast.expected_amount
    from current_forecast
    left join kept_days
        on current_forecast.source_key = kept_days.source_key
        and current_forecast.made_on = kept_days.made_on
    where kept_days.made_on is null
),

made as (
    select
        source_key,
        made_on,
        max(made_at) as made_at,
        period_type,
        starts_on,
        ends_on,
        pipeline_key,
        reporting_employee_key,
        sum(won_count) as won_count,
        sum(won_amount) as won_amount,
        sum(expected_deals_count) as expected_deals_count,
        sum(expected_count::decimal(18, 9)) as expected_count,
        sum(expected_amount) as expected_amount
    from forecasts
    group by
        source_key, made_on, period_type, starts_on, ends_on, pipeline_key,
        reporting_employee_key
),

-- Days on which a forecast was made, with the periods that it was made for.
occasions as (
    select
        source_key,
        made_on,
        max(made_at) as made_at,
        period_type,
        starts_on,
        ends_on
    from made
    group by source_key, made_on, period_type, starts_on, ends_on
),

came as (
    select
        occasions.source_key,
        occasions.made_on,
        occasions.period_type,
        card_metrics.pipeline_key,
        card_metrics.reporting_employee_key,
        sum(card_metrics.contribution) filter (where card_metrics.metric_name = 'won')
            as came_count,
        sum(card_metrics.contribution) filter (where card_metrics.metric_name = 'won_amount')
            as came_amount
    from occasions
    inner join card_metrics
        on occasions.source_key = card_metrics.source_key
        and occasions.starts_on <= card_metrics.happened_on
        and occasions.ends_on > card_metrics.happened_on
    inner join pipelines
        on card_metrics.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role in ('sales', 'setter')
    group by
        occasions.source_key, occasions.made_on, occasions.period_type,
        card_metrics.pipeline_key, card_metrics.reporting_employee_key
),

-- What was won by somebody of whom nothing was expected stands beside a forecast of 0.
pairs as (
    select
        source_key,
        made_on,
        period_type,
        pipeline_key,
        reporting_employee_key
    from made
    union
    select
        source_key,
        made_on,
        period_type,
        pipeline_key,
        reporting_employee_key
    from came
),

compared as (
    select
        pairs.*,
        occasions.made_at,
        occasions.starts_on,
        occasions.ends_on,
        occasions.ends_on <= dates.date_day as is_finished,
        coalesce(made.won_count, 0) as won_count,
        coalesce(made.won_amount, 0) as won_amount,
        coalesce(made.expected_deals_count, 0) as expected_deals_count,
        coalesce(made.expected_count, 0) as expected_count,
        coalesce(made.expected_amount, 0) as expected_amount,
        coalesce(made.won_count + made.expected_count, 0) as forecast_count,
        coalesce(made.won_amount + made.expected_amount, 0) as forecast_amount,
        coalesce(came.came_count, 0) as came_count,
        coalesce(came.came_amount, 0) as came_amount
    from pairs
    cross join dates
    inner join occasions
        on pairs.source_key = occasions.source_key
        and pairs.made_on = occasions.made_on
        and pairs.period_type = occasions.period_type
    left join made
        on pairs.source_key = made.source_key
        and pairs.made_on = made.made_on
        and pairs.period_type = made.period_type
        and pairs.pipeline_key = made.pipeline_key
        and pairs.reporting_employee_key = made.reporting_employee_key
    left join came
        on pairs.source_key = came.source_key
        and pairs.made_on = came.made_on
        and pairs.period_type = came.period_type
        and pairs.pipeline_key = came.pipeline_key
        and pairs.reporting_employee_key = came.reporting_employee_key
)

select
    {{ hash_key([
        'compared.source_key', 'compared.made_on', 'compared.period_type',
        'compared.pipeline_key', 'compared.reporting_employee_key', "'forecast'",
    ]) }} as forecast_key,
    compared.made_on,
    compared.made_at,
    compared.source_key,
    compared.period_type,
    compared.starts_on,
    compared.ends_on,
    compared.is_finished,
    compared.pipeline_key,
    pipelines.pipeline_name,
    pipelines.pipeline_role = 'sales' as is_in_totals,
    compared.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    compared.won_count::bigint as won_count,
    compared.won_amount::decimal(18, 2) as won_amount,
    compared.expected_deals_count::bigint as expected_deals_count,
    compared.expected_count::double as expected_count,
    compared.expected_amount::decimal(18, 2) as expected_amount,
    compared.forecast_count::double as forecast_count,
    compared.forecast_amount::decimal(18, 2) as forecast_amount,
    case when compared.is_finished then compared.came_count end::bigint as came_count,
    case when compared.is_finished then compared.came_amount end::decimal(18, 2) as came_amount,
    case when compared.is_finished then compared.forecast_count - compared.came_count end::double
        as error_count,
    case when compared.is_finished then compared.forecast_amount - compared.came_amount
    end::decimal(18, 2) as error_amount,
    case
        when compared.is_finished
            then
                (compared.forecast_amount - compared.came_amount)
                / nullif(compared.came_amount, 0)
    end::double as error_share
from compared
inner join pipelines
    on compared.pipeline_key = pipelines.pipeline_key
inner join employees
    on compared.reporting_employee_key = employees.employee_key
