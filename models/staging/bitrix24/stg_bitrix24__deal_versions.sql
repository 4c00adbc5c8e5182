with source as (
    select * from {{ source('raw_bitrix24', 'deal_versions') }}
)

select
    source_key,
    id as deal_id,
    category_id as pipeline_id,
    stage_id,
    currency_id as currency_code,
    opportunity::decimal(18, 2) as amount,
    nullif(assigned_by_id, 0) as owner_id,
    nullif(moved_by_id, 0) as moved_by_id,
    {{ utc('moved_time') }} as moved_at,
    nullif(modify_by_id, 0) as modified_by_id,
    {{ utc('date_modify') }} as modified_at,
    {{ utc('closedate') }} as planned_close_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_seen_at') }} as last_seen_at
from source
