-- The dictionary of lead and deal sources.
with statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
    where dictionary = 'SOURCE'
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    statuses.source_key,
    statuses.status_id as source_id,
    coalesce(nullif(statuses.status_name, ''), statuses.status_id) as source_name,
    statuses.received_at >= connections.as_of_at as is_listed
from statuses
inner join connections
    on statuses.source_key = connections.source_key
