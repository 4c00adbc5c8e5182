with source as (
    select * from {{ source('raw_bitrix24', 'load_log') }}
)

select
    source_key,
    entity,
    {{ utc('cut_at') }} as cut_at,
    upper_id,
    rows_reported,
    rows_received,
    rows_quarantined,
    rows_raw,
    rows_deleted
from source
