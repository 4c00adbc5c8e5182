with source as (
    select * from {{ source('raw_bitrix24', 'status_versions') }}
)

select
    source_key,
    entity_id as dictionary,
    status_id,
    name as status_name,
    sort as status_sort,
    semantics as semantics_code,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
