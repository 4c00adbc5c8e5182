{{ config(meta={'dagster': {'ref': {'name': 'metric_cards__by_metric'}}}) }}
-- Every total of the cards behind the numbers is the total of its fact: nothing is lost on the way
-- (no card, no pipeline, former employees), nothing counted twice.
with totals as (
    select
        metric_name,
        sum(contribution) as total
    from {{ ref('metric_cards__by_metric') }}
    group by metric_name
),

facts as (
    select
        'calls' as metric_name,
        count(*) as total
    from {{ ref('fct_calls') }}
    where is_external
    union all
    select
        'successful_calls' as metric_name,
        count(*) as total
    from {{ ref('fct_calls') }}
    where is_external and is_successful
    union all
    select
        'talk_seconds' as metric_name,
        sum(talk_seconds) as total
    from {{ ref('fct_calls') }}
    where is_external
    union all
    select
        'stage_entries' as metric_name,
        count(*) as total
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('dim_pipelines') }} as pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    where pipelines.pipeline_role <> 'ignore'
    union all
    select
        closes.outcome as metric_name,
        count(*) as total
    from {{ ref('fct_deal_closes') }} as closes
    inner join {{ ref('dim_pipelines') }} as pipelines
        on closes.pipeline_key = pipelines.pipeline_key
    where closes.is_counted and pipelines.pipeline_role <> 'ignore'
    group by closes.outcome
    union all
    select
        closes.outcome || '_amount' as metric_name,
        sum(deals.company_amount) as total
    from {{ ref('fct_deal_closes') }} as closes
    inner join {{ ref('dim_pipelines') }} as pipelines
        on closes.pipeline_key = pipelines.pipeline_key
    inner join {{ ref('fct_deals') }} as deals
        on closes.deal_key = deals.deal_key
    where closes.is_counted and pipelines.pipeline_role <> 'ignore'
    group by closes.outcome
    union all
    -- Every lead, and of connections without leads every deal that was ever in a setter or sales
    -- pipeline.
    select
        'requests' as metric_name,
        (select count(*) from {{ ref('fct_leads') }})
        + count(distinct visits.card_key) as total
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('dim_pipelines') }} as pipelines
        on visits.pipeline_key = pipelines.pipeline_key
    where
        visits.card_type = 'deal'
        and pipelines.pipeline_role in ('sales', 'setter')
        and visits.source_key not in (select source_key from {{ ref('fct_leads') }})
    union all
    select
        'deals_created' as metric_name,
        count(*) as total
    from {{ ref('fct_deal_creations') }} as creations
    inner join {{ ref('dim_pipelines') }} as pipelines
        on creations.pipeline_key = pipelines.pipeline_key
    where pipelines.pipeline_role <> 'ignore'
    union all
    select
        'payments' as metric_name,
        count(*) as total
    from {{ ref('fct_payments') }}
    union all
    select
        'payment_amount' as metric_name,
        sum(company_amount) as total
    from {{ ref('fct_payments') }}
    union all
    select
        case touch_type when 'meeting' then 'meetings' else 'tasks_done' end as metric_name,
        count(*) as total
    from {{ ref('fct_touches') }}
    where touch_type in ('meeting', 'task')
    group by touch_type
    union all
    select
        'qualified' as metric_name,
        count(*) as total
    from {{ ref('fct_requests') }}
    where qualified_on is not null
)

select
    facts.metric_name,
    facts.total as fact_total,
    totals.total as cards_total
from facts
left join totals
    on facts.metric_name = totals.metric_name
where coalesce(facts.total, 0) <> coalesce(totals.total, 0)
