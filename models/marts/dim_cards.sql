-- Deals and leads as one: what reports say of the card that something happened on, as of now. Row 0
-- stands for no card, so that a report by source, product or grade shows what belongs to none.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
)

select
    deal_key as card_key,
    'deal' as card_type,
    source_key,
    card_url,
    client_key,
    pipeline_key,
    stage_key,
    deal_state as card_state,
    created_on,
    closed_on,
    source_name,
    product_name,
    client_grade,
    utm_source,
    utm_medium,
    utm_campaign,
    made_by,
    is_repeat_client,
    company_amount,
    current_reporting_employee_key
from deals
union all
select
    lead_key as card_key,
    'lead' as card_type,
    source_key,
    card_url,
    client_key,
    pipeline_key,
    stage_key,
    lead_state as card_state,
    created_on,
    closed_on,
    source_name,
    product_name,
    client_grade,
    utm_source,
    utm_medium,
    utm_campaign,
    made_by,
    null as is_repeat_client,
    null as company_amount,
    current_reporting_employee_key
from leads
union all
select
    {{ no_card_key() }} as card_key,
    '(no card)' as card_type,
    '(all)' as source_key,
    null as card_url,
    null as client_key,
    null as pipeline_key,
    null as stage_key,
    '(no card)' as card_state,
    null as created_on,
    null as closed_on,
    '(no card)' as source_name,
    '(no card)' as product_name,
    '(no card)' as client_grade,
    null as utm_source,
    null as utm_medium,
    null as utm_campaign,
    '(no card)' as made_by,
    null as is_repeat_client,
    null as company_amount,
    {{ nobody_key() }} as current_reporting_employee_key
