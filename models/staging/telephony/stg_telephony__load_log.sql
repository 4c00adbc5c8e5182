with source as (
    select * from {{ source('raw_telephony', 'load_log') }}
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
    rows_deleted,
    rows_fewer,
    owners_pending,
    owners_inferred,
    coalesce(was_swept, false) as was_swept,
    {{ utc('complete_up_to') }} as complete_up_to_at,
    problem
from source
