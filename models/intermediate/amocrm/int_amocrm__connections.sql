-- As-of of a connection = the cut of its last complete load. A load writes its log last and whole,
-- so the newest row is a complete load's.
with load_log as (
    select * from {{ ref('stg_amocrm__load_log') }}
),

connections as (
    select * from {{ ref('stg_company__connections') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

latest as (
    select
        source_key,
        max(cut_at) as as_of_at
    from load_log
    group by source_key
)

select
    latest.source_key,
    latest.as_of_at,
    coalesce(connections.talk_basis, 'unknown') as talk_basis,
    connections.portal_url,
    connections.source_key is not null as is_configured,
    rules.time_zone,
    rules.phone_region,
    {{ local_date('latest.as_of_at', 'rules.time_zone') }} as as_of_on
from latest
cross join rules
left join connections
    on latest.source_key = connections.source_key
