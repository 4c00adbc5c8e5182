{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

states as (
    select * from {{ ref('int_card_states') }}
    where card_type = 'deal'
),

closes as (
    select * from {{ ref('int_deal_closes') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

sources as (
    select * from {{ ref('dim_sources') }}
),

loss_reasons as (
    select * from {{ ref('int_deal_loss_reasons') }}
),

described as (
    select * from {{ ref('int_cards_described') }}
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

connections as (
    select * from {{ ref('int_connections') }}
),

currency_rates as (
    select * from {{ ref('dim_currency_rates') }}
),

-- When each client was first won: by a counted win in a pipeline of sales.
first_wins as (
    select
        deals.client_key,
        min(closes.closed_at) as first_won_at
    from closes
    inner join pipelines
        on closes.pipeline_key = pipelines.pipeline_key
        and pipelines.pipeline_role = 'sales'
    inner join deals
        on closes.deal_key = deals.deal_key
    where closes.outcome = 'won' and closes.is_counted and deals.client_key is not null
    group by deals.client_key
),

credited as (
    select
        deals.*,
        coalesce(deals.currency_code, rules.currency_code) as deal_currency_code,
        rules.currency_code as company_currency_code,
        case when states.card_state = 'won' then closes.closed_on else connections.as_of_on end
            as rated_on,
        states.pipeline_key as current_pipeline_key,
        states.stage_key as current_stage_key,
        states.stage_entered_at,
        states.card_state as deal_state,
        states.closed_at,
        states.first_closed_at,
        states.visits_count,
        leads.created_at as lead_created_at,
        -- No deal is won before it is made, so that it can't be its own predecessor.
        coalesce(first_wins.first_won_at < deals.created_at, false) as is_repeat_client,
        created_days.date_day as created_on,
        closes.closed_on,
        closes.owner_employee_key as close_owner_employee_key,
        closes.owner_basis
    from deals
    cross join rules
    inner join connections
        on deals.source_key = connections.source_key
    inner join states
        on deals.deal_key = states.card_key
    inner join days as created_days
        on deals.created_at::date = created_days.utc_on
        and deals.created_at >= created_days.starts_at
        and deals.created_at < created_days.ends_at
    left join closes
        on deals.deal_key = closes.deal_key
        and closes.is_current
    left join leads
        on deals.lead_key = leads.lead_key
    left join first_wins
        on deals.client_key = first_wins.client_key
)

select
    credited.deal_key,
    credited.source_key,
    credited.deal_id,
    credited.origin_id,
    credited.title as deal_title,
    credited.card_url,
    credited.current_pipeline_key as pipeline_key,
    credited.current_stage_key as stage_key,
    credited.stage_entered_at,
    credited.deal_state,
    credited.created_at,
    credited.created_on,
    credited.closed_at,
    credited.closed_on,
    credited.first_closed_at,
    credited.planned_close_at,
    credited.amount,
    credited.deal_currency_code as currency_code,
    (credited.amount::decimal(28, 2) * currency_rates.rate)::decimal(18, 2) as company_amount,
    credited.company_currency_code,
    credited.client_key,
    credited.is_repeat_client,
    credited.lead_key,
    credited.lead_created_at,
    case
        when credited.is_made_by_system or coalesce(creators.employee_kind, 'nobody') <> 'person'
            then 'system'
        else 'person'
    end as made_by,
    coalesce(credited.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    case
        when credited.closed_at is not null
            then coalesce(credited.close_owner_employee_key, {{ nobody_key() }})
    end as close_owner_employee_key,
    case when credited.closed_at is null then 'current' else credited.owner_basis end
        as owner_basis,
    -- Creation is an event of its day; the close is one of its own.
    {{ reporting_key('owners', 'credited.created_on', 'credited.owner_employee_key') }}
        as reporting_employee_key,
    case
        when credited.closed_at is not null
            then {{ reporting_key(
                'close_owners', 'credited.closed_on', 'credited.close_owner_employee_key'
            ) }}
    end as close_reporting_employee_key,
    coalesce(owners.current_reporting_key, {{ nobody_key() }}) as current_reporting_employee_key,
    case
        when credited.source_id <> ''
            then {{ hash_key(['credited.source_key', "'source'", 'credited.source_id']) }}
    end as lead_source_key,
    coalesce(sources.source_name, credited.source_id, '(not set)') as source_name,
    coalesce(described.product_name, '(not set)') as product_name,
    coalesce(described.client_grade, '(not set)') as client_grade,
    {{ utm_key('credited') }} as utm_key,
    credited.utm_source,
    credited.utm_medium,
    credited.utm_campaign,
    credited.is_return_customer,
    loss_reasons.loss_reason_key,
    loss_reasons.loss_reason_name,
    loss_reasons.loss_reason_basis,
    credited.visits_count::integer as visits_count
from credited
left join currency_rates
    on credited.deal_currency_code = currency_rates.currency_code
    and credited.rated_on >= currency_rates.valid_from_on
    and credited.rated_on < currency_rates.valid_to_on
left join sources
    on credited.source_key = sources.source_key
    and credited.source_id = sources.source_id
left join described
    on credited.deal_key = described.card_key
left join loss_reasons
    on credited.deal_key = loss_reasons.deal_key
left join employees as creators
    on credited.creator_employee_key = creators.employee_key
left join employees as owners
    on credited.owner_employee_key = owners.employee_key
left join employees as close_owners
    on credited.close_owner_employee_key = close_owners.employee_key
