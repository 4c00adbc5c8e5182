-- What R6 adds up: calls and talk of every day over any segment, beside what was sold there. In one
-- view the calls that started on the day stand beside the deals closed on it, in the other all
-- calls ever of these deals. One table for all segments: a custom field needs no new model.
{{ config(materialized='touched_parts') }}

with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where
        (
            {{ of_touched('days', 'happened_on') }}
            or {{ of_touched('cards', 'coalesce(card_key, 0)') }}
        )
        and is_in_totals
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
)

-- Decimals: sums of floating point depend on the order of the rows.
select
    {{ hash_key(['call_view', 'source_key', 'happened_on', 'segment_type', 'segment_value']) }}
        as segment_sum_key,
    call_view,
    source_key,
    happened_on,
    segment_type,
    segment_value,
    sum((calls_count * share)::decimal(28, 8))::decimal(28, 8) as daily_calls_count,
    sum((successful_count * share)::decimal(28, 8))::decimal(28, 8) as daily_successful_count,
    sum((talk_seconds * share)::decimal(28, 8))::decimal(28, 8) as daily_talk_seconds,
    sum((won_count * share)::decimal(28, 8))::decimal(28, 8) as daily_won_count,
    sum((won_amount * share)::decimal(28, 8))::decimal(28, 8) as daily_won_amount,
    sum(((won_count - won_with_amount_count) * share)::decimal(28, 8))::decimal(28, 8)
        as daily_won_without_amount_count,
    sum((closed_count * share)::decimal(28, 8))::decimal(28, 8) as daily_closed_count
from spread
group by call_view, source_key, happened_on, segment_type, segment_value
