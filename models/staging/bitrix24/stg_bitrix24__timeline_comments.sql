with source as (
    select * from {{ source('raw_bitrix24', 'timeline_comments') }}
)

select
    source_key,
    id as comment_id,
    entity_type as card_type,
    entity_id as card_id,
    nullif(author_id, 0) as created_by_id,
    {{ utc('created') }} as created_at,
    comment as comment_text,
    {{ utc('received_at') }} as received_at
from source
