-- Cards: deals and leads that count, with what calls and visits need of them.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
)

select
    deal_key as card_key,
    'deal' as card_type,
    source_key,
    deal_id as card_id,
    id_order,
    deal_key,
    lead_key,
    client_key,
    contact_key,
    owner_employee_key,
    created_at
from deals
union all
select
    lead_key as card_key,
    'lead' as card_type,
    source_key,
    lead_id as card_id,
    id_order,
    null::bigint as deal_key,
    lead_key,
    client_key,
    contact_key,
    owner_employee_key,
    created_at
from leads
