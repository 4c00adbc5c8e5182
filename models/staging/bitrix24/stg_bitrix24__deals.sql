with source as (
    select * from {{ source('raw_bitrix24', 'deals') }}
)

select
    source_key,
    id as deal_id,
    title,
    category_id as pipeline_id,
    stage_id,
    stage_semantic_id as stage_semantics_code,
    coalesce(is_recurring, false) as is_recurring,
    coalesce(is_return_customer, false) as is_return_customer,
    currency_id as currency_code,
    opportunity::decimal(18, 2) as amount,
    nullif(lead_id, 0) as lead_id,
    nullif(company_id, 0) as company_id,
    nullif(contact_id, 0) as contact_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(created_by_id, 0) as created_by_id,
    nullif(moved_by_id, 0) as moved_by_id,
    {{ utc('date_create') }} as created_at,
    {{ utc('date_modify') }} as modified_at,
    {{ utc('moved_time') }} as moved_at,
    {{ utc('closedate') }} as planned_close_at,
    source_id,
    utm_source,
    utm_medium,
    utm_campaign,
    origin_id,
    extra as custom_fields,
    {{ utc('received_at') }} as received_at
from source
