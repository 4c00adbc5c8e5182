-- All connections of all systems. As-of of a connection = the cut of its last complete load: a load
-- writes its log last and whole, so the newest row is a complete load's. The report's as-of is the
-- earliest of its CRM connections.
with load_log as (
    select * from {{ ref('int_load_log') }}
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
),

described as (
    select
        latest.source_key,
        latest.as_of_at,
        coalesce(connections.talk_basis, 'unknown') as talk_basis,
        connections.portal_url,
        connections.source_field,
        connections.source_key is not null as is_configured,
        rules.time_zone,
        rules.phone_region,
        {{ local_date('latest.as_of_at', 'rules.time_zone') }} as as_of_on
    from latest
    cross join rules
    left join connections
        on latest.source_key = connections.source_key
)

select
    source_key,
    as_of_at,
    as_of_on,
    time_zone,
    phone_region,
    talk_basis,
    portal_url,
    source_field,
    is_configured,
    -- A connection that was removed from the rules holds nothing back.
    min(case when is_configured then as_of_at end) over () as report_as_of_at,
    min(case when is_configured then as_of_on end) over () as report_as_of_on
from described
