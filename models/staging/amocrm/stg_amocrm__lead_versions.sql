with source as (
    select * from {{ source('raw_amocrm', 'lead_versions') }}
)

select
    source_key,
    id as lead_id,
    nullif(responsible_user_id, 0) as owner_id,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
