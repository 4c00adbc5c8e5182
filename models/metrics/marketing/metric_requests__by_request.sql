-- R17: what came in, one by one, and what has become of it so far. Where leads are requests, their
-- deals carry them on.
with card_metrics as (
    select * from {{ ref('metric_cards__by_metric') }}
    where metric_name in ('requests', 'qualified')
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where card_type = 'deal'
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and card_key is not null
),

touches as (
    select * from {{ ref('fct_touches') }}
    where card_key is not null
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

qualifications as (
    select
        card_key,
        happened_on as qualified_on
    from card_metrics
    where metric_name = 'qualified'
),

first_entries as (
    select
        visits.card_key,
        min(visits.entered_at) as requested_at
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role in ('sales', 'setter')
    group by visits.card_key
),

requests as (
    select
        card_metrics.card_key as request_card_key,
        card_metrics.card_type as request_card_type,
        card_metrics.source_key,
        card_metrics.happened_on as requested_on,
        coalesce(leads.created_at, first_entries.requested_at) as requested_at,
        card_metrics.reporting_employee_key,
        leads.lead_state,
        card_metrics.card_url,
        card_metrics.client_key,
        card_metrics.source_name,
        nullif(coalesce(leads.utm_source, deals.utm_source), '') as utm_source,
        nullif(coalesce(leads.utm_medium, deals.utm_medium), '') as utm_medium,
        nullif(coalesce(leads.utm_campaign, deals.utm_campaign), '') as utm_campaign,
        leads.pipeline_key as lead_pipeline_key,
        leads.stage_key as lead_stage_key,
        leads.current_reporting_employee_key as lead_employee_key,
        connections.as_of_at
    from card_metrics
    inner join connections
        on card_metrics.source_key = connections.source_key
        and card_metrics.happened_on <= connections.report_as_of_on
    left join leads
        on card_metrics.card_key = leads.lead_key
    left join deals
        on card_metrics.card_key = deals.deal_key
    left join first_entries
        on card_metrics.card_key = first_entries.card_key
    where card_metrics.metric_name = 'requests'
),

deals_of_requests as (
    select
        requests.request_card_key,
        deals.deal_key,
        deals.card_url,
        deals.pipeline_key,
        deals.stage_key,
        deals.current_reporting_employee_key,
        deals.created_at,
        deals.deal_id,
        deals.deal_state,
        deals.company_amount,
        deals.deal_state = 'won' and coalesce(pipelines.pipeline_role, '') = 'sales' as is_won,
        deals.deal_state = 'open' and coalesce(pipelines.pipeline_role, '') in ('sales', 'setter')
            as is_open
    from deals
    inner join requests
        on coalesce(deals.lead_key, deals.deal_key) = requests.request_card_key
    left join pipelines
        on deals.pipeline_key = pipelines.pipeline_key
),

-- The deal that shows how the request stands: a won one, else one in work, else the first.
ranked_deals as (
    select
        *,
        row_number() over (
            partition by request_card_key
            order by
                case when is_won then 1 when is_open then 2 else 3 end, created_at, deal_id
        ) as place
    from deals_of_requests
),

shown_deals as (
    select * from ranked_deals
    where place = 1
),

outcomes as (
    select
        request_card_key,
        count(*) as deals_count,
        count(*) filter (where is_won) as won_deals_count,
        count(*) filter (where is_open) as open_deals_count,
        count(*) filter (where deal_state = 'lost') as lost_deals_count,
        sum(company_amount) filter (where is_won) as won_amount
    from deals_of_requests
    group by request_card_key
),

cards as (
    select
        request_card_key,
        request_card_key as card_key
    from requests
    union
    select
        request_card_key,
        deal_key as card_key
    from deals_of_requests
),

talks as (
    select
        cards.request_card_key,
        count(*) as calls_count,
        sum(calls.talk_seconds) as talk_seconds
    from calls
    inner join cards
        on calls.card_key = cards.card_key
    group by cards.request_card_key
),

first_touches as (
    select
        cards.request_card_key,
        min(touches.touched_at) as first_touch_at
    from touches
    inner join cards
        on touches.card_key = cards.card_key
    group by cards.request_card_key
),

described as (
    select
        requests.*,
        qualifications.qualified_on,
        coalesce(outcomes.deals_count, 0) as deals_count,
        coalesce(outcomes.won_deals_count, 0) as won_deals_count,
        outcomes.won_amount,
        case
            when outcomes.won_deals_count > 0 then 'won'
            when outcomes.open_deals_count > 0 or requests.lead_state = 'open' then 'open'
            when outcomes.lost_deals_count = outcomes.deals_count then 'lost'
            when outcomes.deals_count is null and requests.lead_state = 'lost' then 'lost'
            -- Converted without a deal, won by a setter, or gone to a pipeline that sells nothing.
            else 'other'
        end as request_state,
        coalesce(shown_deals.deal_key, requests.request_card_key) as current_card_key,
        coalesce(shown_deals.card_url, requests.card_url) as current_card_url,
        coalesce(shown_deals.pipeline_key, requests.lead_pipeline_key) as pipeline_key,
        coalesce(shown_deals.stage_key, requests.lead_stage_key) as stage_key,
        coalesce(shown_deals.current_reporting_employee_key, requests.lead_employee_key)
            as current_reporting_employee_key,
        coalesce(talks.calls_count, 0) as calls_count,
        coalesce(talks.talk_seconds, 0) as talk_seconds,
        first_touches.first_touch_at
    from requests
    left join qualifications
        on requests.request_card_key = qualifications.card_key
    left join outcomes
        on requests.request_card_key = outcomes.request_card_key
    left join shown_deals
        on requests.request_card_key = shown_deals.request_card_key
    left join talks
        on requests.request_card_key = talks.request_card_key
    left join first_touches
        on requests.request_card_key = first_touches.request_card_key
)

select
    described.request_card_key,
    described.request_card_type,
    described.source_key,
    described.card_url,
    described.client_key,
    described.requested_at,
    described.requested_on,
    described.source_name,
    described.utm_source,
    described.utm_medium,
    described.utm_campaign,
    described.reporting_employee_key,
    described.qualified_on is not null as is_qualified,
    described.qualified_on,
    described.request_state,
    described.current_card_key,
    described.current_card_url,
    described.pipeline_key,
    pipelines.pipeline_name,
    described.stage_key,
    coalesce(stages.stage_name, '(not set)') as stage_name,
    described.current_reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    {{ whole_days_between('described.requested_at', 'described.as_of_at') }} as age_days,
    described.first_touch_at,
    -- What was touched before it came in, as by the call that it came from, did not wait.
    case
        when described.first_touch_at < described.requested_at then 0
        else {{ seconds_between('described.requested_at', 'described.first_touch_at') }}
    end::double as first_touch_after_seconds,
    described.calls_count::bigint as calls_count,
    described.talk_seconds::bigint as talk_seconds,
    described.deals_count::bigint as deals_count,
    described.won_deals_count::bigint as won_deals_count,
    described.won_amount::decimal(18, 2) as won_amount
from described
inner join employees
    on described.current_reporting_employee_key = employees.employee_key
left join pipelines
    on described.pipeline_key = pipelines.pipeline_key
left join stages
    on described.stage_key = stages.stage_key
