-- R6: how calls and talk are shared out over any segment, beside what was sold there. In one view
-- the calls that started in the period stand beside the deals closed in it, in the other all calls
-- ever of the deals closed in it. One table for all segments: a custom field needs no new model.
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where
        is_in_totals
        and metric_name in (
            'calls', 'successful_calls', 'talk_seconds', 'won', 'won_amount', 'won_with_amount',
            'lost'
        )
),

employees as (
    select * from {{ ref('dim_employees') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

segments as (
    select * from {{ ref('stg_company__segments') }}
),

card_segments as (
    select * from {{ ref('dim_card_segments') }}
),

deal_products as (
    select * from {{ ref('fct_deal_products') }}
),

periods as (
    select * from {{ ref('dim_periods') }}
),

summed as (
    select
        source_key,
        happened_on,
        pipeline_key,
        reporting_employee_key,
        card_key,
        source_name,
        coalesce(sum(contribution) filter (where metric_name = 'calls'), 0) as calls_count,
        coalesce(sum(contribution) filter (where metric_name = 'successful_calls'), 0)
            as successful_count,
        coalesce(sum(contribution) filter (where metric_name = 'talk_seconds'), 0)
            as talk_seconds,
        coalesce(sum(contribution) filter (where metric_name = 'won'), 0) as won_count,
        coalesce(sum(contribution) filter (where metric_name = 'won_amount'), 0) as won_amount,
        coalesce(sum(contribution) filter (where metric_name = 'won_with_amount'), 0)
            as won_with_amount_count,
        coalesce(sum(contribution) filter (where metric_name in ('won', 'lost')), 0)
            as closed_count
    from card_metrics
    group by source_key, happened_on, pipeline_key, reporting_employee_key, card_key, source_name
),

closes as (
    select * from summed
    where closed_count > 0
),

-- The day on which a deal that closes once or more counts; its calls stand on the last one.
closed_on as (
    select
        card_key,
        max(happened_on) as happened_on,
        max_by(pipeline_key, happened_on) as pipeline_key
    from closes
    group by card_key
),

viewed as (
    select
        'calls_of_period' as call_view,
        summed.*
    from summed
    union all
    select
        'calls_of_closed_deals' as call_view,
        closes.* replace (0 as calls_count, 0 as successful_count, 0 as talk_seconds)
    from closes
    union all
    select
        'calls_of_closed_deals' as call_view,
        summed.* replace (
            closed_on.happened_on as happened_on,
            closed_on.pipeline_key as pipeline_key,
            0 as won_count,
            0 as won_amount,
            0 as won_with_amount_count,
            0 as closed_count
        )
    from summed
    inner join closed_on
        on summed.card_key = closed_on.card_key
    where summed.calls_count > 0
),

closed_cards as (
    select card_key
    from closes
    group by card_key
),

talk_of_deals as (
    select
        card_key,
        reporting_employee_key,
        sum(talk_seconds) as talk_seconds
    from summed
    where talk_seconds > 0
    group by card_key, reporting_employee_key
),

-- Whose talk went into a deal; what nobody talked for stays with no talker.
talkers as (
    select
        closed_cards.card_key,
        talk_of_deals.reporting_employee_key,
        coalesce(
            talk_of_deals.talk_seconds
            / sum(talk_of_deals.talk_seconds) over (partition by closed_cards.card_key),
            1
        ) as share
    from closed_cards
    left join talk_of_deals
        on closed_cards.card_key = talk_of_deals.card_key
),

-- Every connection shows every segment, also one that it has no field for: totals stay whole.
segment_types as (
    select segment_type
    from segments
    group by segment_type
),

spread as (
    select
        viewed.*,
        'all' as segment_type,
        'all' as segment_value,
        1::double as share
    from viewed
    union all
    select
        viewed.*,
        'employee' as segment_type,
        {{ employee_label('employees') }} as segment_value,
        1 as share
    from viewed
    inner join employees
        on viewed.reporting_employee_key = employees.employee_key
    union all
    select
        viewed.*,
        'department' as segment_type,
        employees.department_name as segment_value,
        1 as share
    from viewed
    inner join employees
        on viewed.reporting_employee_key = employees.employee_key
    union all
    select
        viewed.*,
        'source' as segment_type,
        viewed.source_name as segment_value,
        1 as share
    from viewed
    union all
    select
        viewed.*,
        'pipeline' as segment_type,
        coalesce(pipelines.pipeline_name, '(no card)') as segment_value,
        1 as share
    from viewed
    left join pipelines
        on viewed.pipeline_key = pipelines.pipeline_key
    union all
    select
        viewed.*,
        segment_types.segment_type,
        case
            when viewed.card_key is null then '(no card)'
            else coalesce(card_segments.segment_value, '(not set)')
        end as segment_value,
        1 as share
    from viewed
    cross join segment_types
    left join card_segments
        on viewed.card_key = card_segments.card_key
        and segment_types.segment_type = card_segments.segment_type
    union all
    -- A deal with several rows of products is split by their amounts.
    select
        viewed.*,
        'product_row' as segment_type,
        case
            when viewed.card_key is null then '(no card)'
            else coalesce(deal_products.product_name, '(not set)')
        end as segment_value,
        coalesce(deal_products.amount_share, 1) as share
    from viewed
    left join deal_products
        on viewed.card_key = deal_products.deal_key
    union all
    -- Calls to who talked, what was won to all who talked for it, by their talk.
    select
        viewed.* replace (
            0 as won_count, 0 as won_amount, 0 as won_with_amount_count, 0 as closed_count
        ),
        'talker' as segment_type,
        {{ employee_label('employees') }} as segment_value,
        1 as share
    from viewed
    inner join employees
        on viewed.reporting_employee_key = employees.employee_key
    where viewed.calls_count > 0
    union all
    select
        viewed.* replace (0 as calls_count, 0 as successful_count, 0 as talk_seconds),
        'talker' as segment_type,
        case
            when talkers.reporting_employee_key is null then '(no talk)'
            else {{ employee_label('employees') }}
        end as segment_value,
        talkers.share
    from viewed
    inner join talkers
        on viewed.card_key = talkers.card_key
    left join employees
        on talkers.reporting_employee_key = employees.employee_key
    where viewed.closed_count > 0
),

-- Decimals: sums of floating point depend on the order of the rows.
by_day as (
    select
        call_view,
        source_key,
        happened_on,
        segment_type,
        segment_value,
        sum((calls_count * share)::decimal(28, 8)) as calls_count,
        sum((successful_count * share)::decimal(28, 8)) as successful_count,
        sum((talk_seconds * share)::decimal(28, 8)) as talk_seconds,
        sum((won_count * share)::decimal(28, 8)) as won_count,
        sum((won_amount * share)::decimal(28, 8)) as won_amount,
        sum(((won_count - won_with_amount_count) * share)::decimal(28, 8))
            as won_without_amount_count,
        sum((closed_count * share)::decimal(28, 8)) as closed_count
    from spread
    group by call_view, source_key, happened_on, segment_type, segment_value
),

days as (
    select
        period_key,
        {{ date_series('starts_on', '(counted_until_on - 1)') }}::date as date_day
    from periods
),

by_period as (
    select
        by_day.call_view,
        by_day.source_key,
        days.period_key,
        by_day.segment_type,
        by_day.segment_value,
        sum(by_day.calls_count) as calls_count,
        sum(by_day.successful_count) as successful_count,
        sum(by_day.talk_seconds) as talk_seconds,
        sum(by_day.won_count) as won_count,
        sum(by_day.won_amount) as won_amount,
        sum(by_day.won_without_amount_count) as won_without_amount_count,
        sum(by_day.closed_count) as closed_count
    from by_day
    inner join days
        on by_day.happened_on = days.date_day
    group by
        by_day.call_view, by_day.source_key, days.period_key, by_day.segment_type,
        by_day.segment_value
),

with_totals as (
    select
        *,
        sum(calls_count) over segment as total_calls_count,
        sum(talk_seconds) over segment as total_talk_seconds,
        sum(won_count) over segment as total_won_count,
        sum(won_amount) over segment as total_won_amount
    from by_period
    window segment as (partition by call_view, source_key, period_key, segment_type)
)

select
    {{ hash_key([
        'with_totals.call_view', 'with_totals.source_key', 'with_totals.period_key',
        'with_totals.segment_type', 'with_totals.segment_value',
    ]) }} as call_proportion_key,
    with_totals.call_view,
    with_totals.period_key,
    periods.period_type,
    periods.starts_on,
    periods.ends_on,
    periods.is_finished,
    with_totals.source_key,
    with_totals.segment_type,
    with_totals.segment_value,
    with_totals.calls_count::double as segment_calls_count,
    with_totals.successful_count::double as segment_successful_count,
    with_totals.talk_seconds::double as segment_talk_seconds,
    with_totals.won_count::double as segment_won_count,
    with_totals.won_amount::double as segment_won_amount,
    with_totals.won_without_amount_count::double as segment_won_without_amount_count,
    with_totals.closed_count::double as segment_closed_count,
    with_totals.total_calls_count::double as total_calls_count,
    with_totals.total_talk_seconds::double as total_talk_seconds,
    with_totals.total_won_count::double as total_won_count,
    with_totals.total_won_amount::double as total_won_amount,
    with_totals.calls_count::double / nullif(with_totals.total_calls_count::double, 0)
        as calls_share,
    with_totals.talk_seconds::double / nullif(with_totals.total_talk_seconds::double, 0)
        as talk_share,
    with_totals.won_count::double / nullif(with_totals.total_won_count::double, 0)
        as won_count_share,
    with_totals.won_amount::double / nullif(with_totals.total_won_amount::double, 0)
        as won_amount_share,
    with_totals.won_count::double / nullif(with_totals.closed_count::double, 0)
        as won_share_closed,
    with_totals.won_amount::double * 60 / nullif(with_totals.talk_seconds::double, 0)
        as won_amount_per_talk_minute,
    with_totals.talk_seconds::double / 60 / nullif(with_totals.won_count::double, 0)
        as talk_minutes_per_won_deal,
    with_totals.calls_count::double / nullif(with_totals.won_count::double, 0)
        as calls_per_won_deal
from with_totals
inner join periods
    on with_totals.period_key = periods.period_key
