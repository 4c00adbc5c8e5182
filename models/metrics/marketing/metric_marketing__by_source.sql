-- R17: each period's requests as a cohort, their revenue so far, and what they cost, by source and
-- by each UTM tag. Slices stand side by side; combinations are sums of metric_marketing__by_day.
with daily as (
    select * from {{ ref('metric_marketing__by_day') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

periods as (
    select * from {{ ref('dim_periods') }}
),

days_of_periods as (
    {{ days_of_periods('dates') }}
),

sliced as (
    select
        daily.*,
        slices.slice_type,
        case slices.slice_type
            when 'all' then 'all'
            when 'source' then daily.source_name
            when 'utm_source' then daily.utm_source
            when 'utm_medium' then daily.utm_medium
            else daily.utm_campaign
        end as slice_value
    from daily
    cross join (values ('all'), ('source'), ('utm_source'), ('utm_medium'), ('utm_campaign'))
        as slices (slice_type)
),

summed as (
    select
        sliced.source_key,
        days_of_periods.period_type,
        days_of_periods.starts_on,
        sliced.slice_type,
        sliced.slice_value,
        sum(sliced.requests_count) as requests_count,
        sum(sliced.qualified_count) as qualified_count,
        sum(sliced.won_requests_count) as won_requests_count,
        sum(sliced.open_requests_count) as open_requests_count,
        sum(sliced.lost_requests_count) as lost_requests_count,
        sum(sliced.other_requests_count) as other_requests_count,
        sum(sliced.won_deals_count) as won_deals_count,
        sum(sliced.won_amount) as won_amount,
        sum(sliced.talk_seconds) as talk_seconds,
        sum(sliced.unrequested_deals_count) as unrequested_deals_count,
        sum(sliced.unrequested_won_deals_count) as unrequested_won_deals_count,
        sum(sliced.unrequested_won_amount) as unrequested_won_amount,
        sum(sliced.cost_amount) as cost_amount,
        sum(sliced.unconverted_costs_count) as unconverted_costs_count
    from sliced
    inner join days_of_periods
        on sliced.marketing_on = days_of_periods.date_day
    group by all
)

select
    {{ hash_key([
        'summed.source_key', 'periods.period_key', 'summed.slice_type', 'summed.slice_value',
        "'marketing'",
    ]) }} as marketing_key,
    periods.period_key,
    summed.period_type,
    summed.starts_on,
    periods.ends_on,
    periods.is_finished,
    summed.source_key,
    summed.slice_type,
    summed.slice_value,
    summed.requests_count::bigint as requests_count,
    summed.qualified_count::bigint as qualified_count,
    (summed.qualified_count / nullif(summed.requests_count, 0))::double
        as qualified_share_cohort,
    summed.won_requests_count::bigint as won_requests_count,
    (summed.won_requests_count / nullif(summed.requests_count, 0))::double as won_share_cohort,
    summed.open_requests_count::bigint as open_requests_count,
    (summed.open_requests_count / nullif(summed.requests_count, 0))::double
        as open_share_cohort,
    summed.lost_requests_count::bigint as lost_requests_count,
    summed.other_requests_count::bigint as other_requests_count,
    summed.won_deals_count::bigint as won_deals_count,
    summed.won_amount::decimal(18, 2) as won_amount,
    (summed.won_amount / nullif(summed.requests_count, 0))::double as won_amount_per_request,
    summed.talk_seconds::bigint as talk_seconds,
    (summed.talk_seconds / 60.0 / nullif(summed.requests_count, 0))::double
        as talk_minutes_per_request,
    summed.cost_amount::decimal(18, 2) as cost_amount,
    (summed.cost_amount / nullif(summed.requests_count, 0))::double as cost_per_request,
    (summed.cost_amount / nullif(summed.qualified_count, 0))::double as cost_per_qualified,
    (summed.cost_amount / nullif(summed.won_requests_count, 0))::double as cost_per_won_request,
    (summed.won_amount / nullif(summed.cost_amount, 0))::double as won_amount_per_cost,
    summed.unconverted_costs_count::bigint as unconverted_costs_count,
    summed.unrequested_deals_count::bigint as unrequested_deals_count,
    summed.unrequested_won_deals_count::bigint as unrequested_won_deals_count,
    summed.unrequested_won_amount::decimal(18, 2) as unrequested_won_amount
from summed
inner join periods
    on summed.period_type = periods.period_type
    and summed.starts_on = periods.starts_on
