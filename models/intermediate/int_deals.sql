-- Deals of all systems that count in every report.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__deals') }}
    where is_counted
),

amocrm as (
    select * from {{ ref('int_amocrm__deals') }}
    where is_counted
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    deal_key,
    source_key,
    deal_id,
    id_order,
    origin_id,
    title,
    {{ hash_key(['source_key', 'pipeline_id']) }} as pipeline_key,
    {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key,
    is_return_customer,
    currency_code,
    amount,
    client_key,
    contact_key,
    case when owner_id is not null then {{ hash_key(['source_key', 'owner_id']) }} end
        as owner_employee_key,
    case when moved_by_id is not null then {{ hash_key(['source_key', 'moved_by_id']) }} end
        as mover_employee_key,
    created_at,
    moved_at,
    planned_close_at,
    source_id,
    utm_source,
    utm_medium,
    utm_campaign,
    custom_fields,
    card_url,
    entity
from unioned
