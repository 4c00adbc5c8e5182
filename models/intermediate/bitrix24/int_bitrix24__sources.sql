-- The dictionary of lead and deal sources.
with statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
    where dictionary = 'SOURCE'
)

select
    source_key,
    status_id as source_id,
    coalesce(nullif(status_name, ''), status_id) as source_name
from statuses
