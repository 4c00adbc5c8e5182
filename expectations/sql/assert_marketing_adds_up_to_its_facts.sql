{{ config(meta={'dagster': {'ref': {'name': 'metric_marketing__by_source'}}}) }}
-- Every request, every won deal and every cent spent stands once, in the days and in each slice.
with days as (
    select * from {{ ref('metric_marketing__by_day') }}
),

requests as (
    select * from {{ ref('metric_requests__by_request') }}
),

slices as (
    select
        slice_type,
        sum(requests_count) as requests_count,
        sum(won_deals_count + unrequested_won_deals_count) as won_deals_count,
        sum(cost_amount) as cost_amount
    from {{ ref('metric_marketing__by_source') }}
    where period_type = 'month'
    group by slice_type
),

counted_requests as (
    select count(*) as requests_count
    from {{ ref('metric_cards__by_metric') }} as cards
    inner join {{ ref('int_connections') }} as connections
        on cards.source_key = connections.source_key
        and cards.happened_on <= connections.report_as_of_on
    where cards.metric_name = 'requests'
),

won_deals as (
    select
        count(*) as won_deals_count,
        sum(deals.company_amount) as won_amount
    from {{ ref('fct_deals') }} as deals
    inner join {{ ref('dim_pipelines') }} as pipelines
        on deals.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role = 'sales'
    inner join {{ ref('int_connections') }} as connections
        on deals.source_key = connections.source_key
    left join {{ ref('fct_leads') }} as leads
        on deals.lead_key = leads.lead_key
    where
        deals.deal_state = 'won'
        and least(deals.created_on, coalesce(leads.created_on, deals.created_on))
        <= connections.report_as_of_on
),

spent as (
    select
        sum(costs.company_amount) as cost_amount,
        count(*) filter (where costs.company_amount is null) as unconverted_costs_count
    from {{ ref('fct_marketing_costs') }} as costs
    inner join {{ ref('int_connections') }} as connections
        on costs.source_key = connections.source_key
        and costs.spent_on <= connections.report_as_of_on
),

-- A line whose days have all passed is spent to the cent.
lines as (
    select
        lines.amount,
        sum(costs.amount) as spent_amount
    from {{ ref('stg_company__marketing_costs') }} as lines
    inner join {{ ref('int_connections') }} as connections
        on lines.source_key = connections.source_key
        and lines.until_on <= connections.as_of_on + 1
    left join {{ ref('fct_marketing_costs') }} as costs
        on lines.line = costs.file_line
    group by lines.line, lines.amount
),

compared as (
    select
        'requests' as what,
        (select sum(requests_count) from days) as reported,
        (select requests_count from counted_requests) as held
    union all
    select
        'requests one by one' as what,
        (select count(*) from requests) as reported,
        (select requests_count from counted_requests) as held
    union all
    select
        'states of requests' as what,
        (
            select
                sum(
                    won_requests_count + open_requests_count + lost_requests_count
                    + other_requests_count
                )
            from days
        ) as reported,
        (select requests_count from counted_requests) as held
    union all
    select
        'requests by stage' as what,
        (select sum(requests_count) from {{ ref('metric_requests__by_stage') }}) as reported,
        (select requests_count from counted_requests) as held
    union all
    select
        'won deals' as what,
        (select sum(won_deals_count + unrequested_won_deals_count) from days) as reported,
        (select won_deals_count from won_deals) as held
    union all
    select
        'won amount' as what,
        (select sum(coalesce(won_amount, 0) + coalesce(unrequested_won_amount, 0)) from days)
            as reported,
        (select won_amount from won_deals) as held
    union all
    select
        'costs' as what,
        (select sum(cost_amount) from days) as reported,
        (select cost_amount from spent) as held
    union all
    select
        'costs without a rate' as what,
        (select sum(unconverted_costs_count) from days) as reported,
        (select unconverted_costs_count from spent) as held
    union all
    select
        'spent lines' as what,
        (select sum(spent_amount) from lines) as reported,
        (select sum(amount) from lines) as held
    {% for column in ['requests_count', 'won_deals_count', 'cost_amount'] -%}
    union all
    select
        '{{ column }} by ' || slice_type as what,
        {{ column }} as reported,
        sum({{ column }}) filter (where slice_type = 'all') over () as held
    from slices
    {% endfor -%}
    union all
    select
        'requests on key stages' as what,
        (
            select sum(reached_count)
            from {{ ref('metric_marketing__by_stage') }}
            where period_type = 'month' and slice_type = 'utm_campaign'
        ) as reported,
        (select count(*) from {{ ref('metric_request_stages__by_request') }}) as held
)

select *
from compared
where coalesce(reported, 0) <> coalesce(held, 0)
