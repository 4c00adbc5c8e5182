-- Every deal as it came into the world: the stage and owner of its first visit, where it came from,
-- and what has become of it since. Where from depends on the period looked at: a lead of the same
-- month may be of another week.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

first_visits as (
    select * from {{ ref('fct_stage_visits') }}
    where visit_number = 1 and card_type = 'deal'
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
)

select
    deals.deal_key,
    deals.source_key,
    deals.created_at,
    deals.created_on,
    first_visits.pipeline_key,
    first_visits.stage_key,
    first_visits.reporting_employee_key,
    first_pipelines.pipeline_role in ('sales', 'setter') as is_in_totals,
    leads.created_on as lead_created_on,
    {% for period_type in ['day', 'week', 'month', 'quarter', 'year'] -%}
    case
        when
            date_trunc('{{ period_type }}', leads.created_on)
            = date_trunc('{{ period_type }}', deals.created_on)
            then 'lead_of_period'
        when deals.lead_key is not null then 'older_lead'
        when deals.made_by = 'system' then 'system'
        when deals.is_repeat_client then 'repeat_client'
        else 'by_hand'
    end as origin_of_{{ period_type }},
    {% endfor -%}
    deals.is_repeat_client,
    deals.company_amount,
    deals.deal_state = 'open' and pipelines.pipeline_role in ('sales', 'setter') as is_in_work,
    deals.deal_state = 'won' and pipelines.pipeline_role = 'sales' as is_won,
    case
        when deals.deal_state = 'won' and pipelines.pipeline_role = 'sales'
            then
                ({{ seconds_between('deals.created_at', 'deals.closed_at') }})::decimal(18, 3)
    end as won_after_seconds
from deals
inner join first_visits
    on deals.deal_key = first_visits.deal_key
inner join pipelines as first_pipelines
    on first_visits.pipeline_key = first_pipelines.pipeline_key
inner join pipelines
    on deals.pipeline_key = pipelines.pipeline_key
left join leads
    on deals.lead_key = leads.lead_key
