{{ config(meta={'dagster': {'ref': {'name': 'metric_forecast__by_period'}}}) }}
-- What a forecast of the month counts as won is what the numbers count, and no open deal is
-- expected twice.
with forecast as (
    select
        source_key,
        sum(won_count) as won_count,
        sum(won_amount) as won_amount,
        sum(expected_deals_count) as expected_deals_count
    from {{ ref('metric_forecast__by_period') }}
    where period_type = 'month'
    group by source_key
),

numbers as (
    select
        cards.source_key,
        sum(cards.contribution) filter (where cards.metric_name = 'won') as won_count,
        sum(cards.contribution) filter (where cards.metric_name = 'won_amount') as won_amount
    from {{ ref('metric_cards__by_metric') }} as cards
    inner join {{ ref('dim_periods') }} as periods
        on cards.happened_on >= periods.starts_on
        and cards.happened_on < periods.ends_on
        and periods.is_current
        and periods.period_type = 'month'
    inner join {{ ref('dim_pipelines') }} as pipelines
        on cards.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role in ('sales', 'setter')
    where cards.metric_name in ('won', 'won_amount')
    group by cards.source_key
),

in_work as (
    select
        source_key,
        count(*) as open_deals_count
    from {{ ref('metric_open_cards__by_card') }}
    where card_type = 'deal' and not is_overdue
    group by source_key
)

select
    forecast.source_key,
    forecast.won_count,
    numbers.won_count as counted_won_count,
    forecast.expected_deals_count,
    in_work.open_deals_count
from forecast
left join numbers
    on forecast.source_key = numbers.source_key
left join in_work
    on forecast.source_key = in_work.source_key
where
    forecast.won_count <> coalesce(numbers.won_count, 0)
    or forecast.won_amount <> coalesce(numbers.won_amount, 0)
    or forecast.expected_deals_count > coalesce(in_work.open_deals_count, 0)
