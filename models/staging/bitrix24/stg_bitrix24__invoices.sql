with source as (
    select * from {{ source('raw_bitrix24', 'invoices') }}
)

select
    source_key,
    id as invoice_id,
    title,
    nullif(account_number, '') as account_number,
    category_id as pipeline_id,
    stage_id,
    nullif(previous_stage_id, '') as previous_stage_id,
    opportunity::decimal(18, 2) as amount,
    tax_value::decimal(18, 2) as tax_amount,
    currency_id as currency_code,
    nullif(parent_id_2, 0) as deal_id,
    nullif(company_id, 0) as company_id,
    nullif(contact_id, 0) as contact_id,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(created_by, 0) as created_by_id,
    nullif(updated_by, 0) as modified_by_id,
    nullif(moved_by, 0) as moved_by_id,
    {{ utc('created_time') }} as created_at,
    {{ utc('updated_time') }} as modified_at,
    {{ utc('moved_time') }} as moved_at,
    {{ utc('begindate') }} as planned_start_at,
    {{ utc('closedate') }} as planned_close_at,
    nullif(source_id, '') as source_id,
    extra as custom_fields,
    {{ utc('received_at') }} as received_at
from source
