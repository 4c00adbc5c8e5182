with source as (
    select * from {{ source('raw_bitrix24', 'leads') }}
)

select
    source_key,
    id as lead_id,
    title,
    trim(concat_ws(' ', nullif(name, ''), nullif(last_name, ''))) as contact_name,
    nullif(company_title, '') as company_name,
    status_id as stage_id,
    status_semantic_id as stage_semantics_code,
    nullif(status_description, '') as stage_description,
    coalesce(is_return_customer, false) as is_return_customer,
    currency_id as currency_code,
    opportunity::decimal(18, 2) as amount,
    nullif(company_id, 0) as company_id,
    nullif(contact_id, 0) as contact_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(created_by_id, 0) as created_by_id,
    nullif(modify_by_id, 0) as modified_by_id,
    nullif(moved_by_id, 0) as moved_by_id,
    {{ utc('date_create') }} as created_at,
    {{ utc('date_modify') }} as modified_at,
    {{ utc('moved_time') }} as moved_at,
    {{ utc('date_closed') }} as closed_at,
    nullif(source_id, '') as source_id,
    nullif(source_description, '') as source_description,
    nullif(utm_source, '') as utm_source,
    nullif(utm_medium, '') as utm_medium,
    nullif(utm_campaign, '') as utm_campaign,
    nullif(utm_content, '') as utm_content,
    nullif(utm_term, '') as utm_term,
    phone as phones,
    email as emails,
    origin_id,
    extra as custom_fields,
    {{ utc('received_at') }} as received_at
from source
