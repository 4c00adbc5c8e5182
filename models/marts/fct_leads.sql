{{ config(materialized='affected_keys', affected_by=['lead_key']) }}

with leads as (
    select * from {{ ref('int_leads') }}
),

states as (
    select * from {{ ref('int_card_states') }}
    where card_type = 'lead'
),

sources as (
    select * from {{ ref('dim_sources') }}
),

described as (
    select * from {{ ref('int_cards_described') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

made_deals as (
    select
        lead_key,
        deal_key,
        row_number() over (partition by lead_key order by created_at, id_order) as deal_order
    from deals
    where lead_key is not null
)

select
    leads.lead_key,
    leads.source_key,
    leads.lead_id,
    leads.title as lead_title,
    leads.card_url,
    states.pipeline_key,
    states.stage_key,
    states.stage_entered_at,
    states.card_state as lead_state,
    leads.created_at,
    created_days.date_day as created_on,
    states.closed_at,
    closed_days.date_day as closed_on,
    -- Qualified: converted, as it stands now.
    case states.card_state when 'won' then states.closed_at end as qualified_at,
    made_deals.deal_key as first_deal_key,
    leads.amount,
    coalesce(leads.currency_code, rules.currency_code) as currency_code,
    leads.client_key,
    case
        when leads.is_made_by_system or coalesce(creators.employee_kind, 'nobody') <> 'person'
            then 'system'
        else 'person'
    end as made_by,
    leads.is_return_customer,
    coalesce(leads.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    {{ reporting_key('owners', 'created_days.date_day', 'leads.owner_employee_key') }}
        as reporting_employee_key,
    coalesce(owners.current_reporting_key, {{ nobody_key() }}) as current_reporting_employee_key,
    case
        when leads.source_id <> ''
            then {{ hash_key(['leads.source_key', "'source'", 'leads.source_id']) }}
    end as lead_source_key,
    coalesce(sources.source_name, leads.source_id, '(not set)') as source_name,
    coalesce(described.product_name, '(not set)') as product_name,
    coalesce(described.client_grade, '(not set)') as client_grade,
    {{ utm_key('leads') }} as utm_key,
    leads.utm_source,
    leads.utm_medium,
    leads.utm_campaign,
    states.visits_count::integer as visits_count
from leads
inner join states
    on leads.lead_key = states.card_key
cross join rules
inner join days as created_days
    on leads.created_at::date = created_days.utc_on
    and leads.created_at >= created_days.starts_at
    and leads.created_at < created_days.ends_at
left join days as closed_days
    on states.closed_at::date = closed_days.utc_on
    and states.closed_at >= closed_days.starts_at
    and states.closed_at < closed_days.ends_at
left join made_deals
    on leads.lead_key = made_deals.lead_key
    and made_deals.deal_order = 1
left join sources
    on leads.source_key = sources.source_key
    and leads.source_id = sources.source_id
left join described
    on leads.lead_key = described.card_key
left join employees as owners
    on leads.owner_employee_key = owners.employee_key
left join employees as creators
    on leads.creator_employee_key = creators.employee_key
