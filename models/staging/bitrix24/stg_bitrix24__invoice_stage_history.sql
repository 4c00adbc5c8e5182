with source as (
    select * from {{ source('raw_bitrix24', 'invoice_stage_history') }}
)

select
    source_key,
    id as history_id,
    type_id as history_type,
    owner_id as invoice_id,
    {{ utc('created_time') }} as entered_at,
    category_id as pipeline_id,
    stage_id,
    stage_semantic_id as stage_semantics_code,
    {{ utc('received_at') }} as received_at
from source
