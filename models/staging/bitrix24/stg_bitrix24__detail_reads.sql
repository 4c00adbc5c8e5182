with source as (
    select * from {{ source('raw_bitrix24', 'detail_reads') }}
)

select
    source_key,
    entity,
    owner_type as detail_owner_type,
    owner_id as detail_owner_id,
    {{ utc('owner_changed_at') }} as owner_changed_at,
    {{ utc('read_at') }} as read_at,
    rows_received
from source
