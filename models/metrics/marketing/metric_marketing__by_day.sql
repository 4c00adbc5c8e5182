-- R17, what can be added up: the requests of a day and what has become of them so far, what was
-- spent on it, and the deals that came without a request. Costs that name no source or tag stand in
-- rows of their own: they belong to none of those that requests name.
{% set texts = ['source_name', 'utm_source', 'utm_medium', 'utm_campaign'] -%}
with requests as (
    select * from {{ ref('metric_requests__by_request') }}
),

costs as (
    select * from {{ ref('fct_marketing_costs') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where card_type = 'deal'
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

work_deals as (
    select visits.card_key
    from visits
    inner join pipelines
        on visits.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role in ('sales', 'setter')
    group by visits.card_key
),

counted_requests as (
    select
        source_key,
        requested_on as marketing_on,
        coalesce(source_name, '(not set)') as source_name,
        coalesce(utm_source, '(not set)') as utm_source,
        coalesce(utm_medium, '(not set)') as utm_medium,
        coalesce(utm_campaign, '(not set)') as utm_campaign,
        count(*) as requests_count,
        count(*) filter (where is_qualified) as qualified_count,
        count(*) filter (where request_state = 'won') as won_requests_count,
        count(*) filter (where request_state = 'open') as open_requests_count,
        count(*) filter (where request_state = 'lost') as lost_requests_count,
        count(*) filter (where request_state = 'other') as other_requests_count,
        sum(won_deals_count) as won_deals_count,
        sum(won_amount) as won_amount,
        sum(talk_seconds) as talk_seconds
    from requests
    group by all
),

counted_deals as (
    select
        deals.source_key,
        deals.created_on as marketing_on,
        coalesce(deals.source_name, '(not set)') as source_name,
        coalesce(nullif(deals.utm_source, ''), '(not set)') as utm_source,
        coalesce(nullif(deals.utm_medium, ''), '(not set)') as utm_medium,
        coalesce(nullif(deals.utm_campaign, ''), '(not set)') as utm_campaign,
        count(*) as unrequested_deals_count,
        count(*) filter (where deals.deal_state = 'won' and pipelines.pipeline_role = 'sales')
            as unrequested_won_deals_count,
        sum(deals.company_amount) filter (
            where deals.deal_state = 'won' and pipelines.pipeline_role = 'sales'
        ) as unrequested_won_amount
    from deals
    inner join work_deals
        on deals.deal_key = work_deals.card_key
    inner join connections
        on deals.source_key = connections.source_key
        and deals.created_on <= connections.report_as_of_on
    left join pipelines
        on deals.pipeline_key = pipelines.pipeline_key
    left join requests
        on coalesce(deals.lead_key, deals.deal_key) = requests.request_card_key
    where requests.request_card_key is null
    group by all
),

counted_costs as (
    select
        costs.source_key,
        costs.spent_on as marketing_on,
        {% for text in texts -%}
        coalesce(costs.{{ text }}, '(costs without it)') as {{ text }},
        {% endfor -%}
        sum(costs.company_amount) as cost_amount,
        count(*) filter (where costs.company_amount is null) as unconverted_costs_count
    from costs
    inner join connections
        on costs.source_key = connections.source_key
        and costs.spent_on <= connections.report_as_of_on
    group by all
),

-- Nothing is known of the days before the connection's first card.
known_from as (
    select
        source_key,
        min(first_on) as known_from_on
    from (
        select
            source_key,
            min(marketing_on) as first_on
        from counted_requests
        group by source_key
        union all
        select
            source_key,
            min(marketing_on) as first_on
        from counted_deals
        group by source_key
    ) as firsts
    group by source_key
),

keys as (
    {% for counted in ['counted_requests', 'counted_deals', 'counted_costs'] -%}
    select
        source_key,
        marketing_on,
        source_name,
        utm_source,
        utm_medium,
        utm_campaign
    from {{ counted }}
    {%- if not loop.last %}
    union
    {% endif %}
    {%- endfor %}
),

joined as (
    select
        keys.*,
        coalesce(keys.marketing_on >= known_from.known_from_on, false) as is_known,
        counted_requests.requests_count,
        counted_requests.qualified_count,
        counted_requests.won_requests_count,
        counted_requests.open_requests_count,
        counted_requests.lost_requests_count,
        counted_requests.other_requests_count,
        counted_requests.won_deals_count,
        counted_requests.won_amount,
        counted_requests.talk_seconds,
        counted_deals.unrequested_deals_count,
        counted_deals.unrequested_won_deals_count,
        counted_deals.unrequested_won_amount,
        counted_costs.cost_amount,
        counted_costs.unconverted_costs_count
    from keys
    left join known_from
        on keys.source_key = known_from.source_key
    {% for counted in ['counted_requests', 'counted_deals', 'counted_costs'] -%}
    left join {{ counted }}
        on keys.source_key = {{ counted }}.source_key
        and keys.marketing_on = {{ counted }}.marketing_on
        {%- for text in texts %}
        and keys.{{ text }} = {{ counted }}.{{ text }}
        {%- endfor %}
    {% endfor -%}
)

select
    {{ hash_key([
        'source_key', "'marketing'", 'marketing_on', 'source_name', 'utm_source', 'utm_medium',
        'utm_campaign',
    ]) }} as marketing_day_key,
    source_key,
    marketing_on,
    source_name,
    utm_source,
    utm_medium,
    utm_campaign,
    {% for count in [
        'requests_count', 'qualified_count', 'won_requests_count', 'open_requests_count',
        'lost_requests_count', 'other_requests_count', 'won_deals_count', 'talk_seconds',
        'unrequested_deals_count', 'unrequested_won_deals_count',
    ] -%}
    case when is_known then coalesce({{ count }}, 0) end::bigint as {{ count }},
    {% endfor -%}
    won_amount::decimal(18, 2) as won_amount,
    unrequested_won_amount::decimal(18, 2) as unrequested_won_amount,
    cost_amount::decimal(18, 2) as cost_amount,
    coalesce(unconverted_costs_count, 0)::bigint as unconverted_costs_count
from joined
