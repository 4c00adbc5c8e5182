-- How far the calls of a connection are known: up to the earliest cut of the CRM and of the
-- telephony that is tied to it. A telephony without a CRM stands for itself.
with connections as (
    select * from {{ ref('int_connections') }}
),

legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

first_legs as (
    select
        source_key,
        min(started_at) as first_leg_at
    from legs
    group by source_key
),

tied as (
    select
        connections.crm_source_key as source_key,
        min(connections.as_of_at) as known_until_at,
        min(first_legs.first_leg_at) as pbx_from_at
    from connections
    left join first_legs
        on connections.source_key = first_legs.source_key
    where not connections.is_crm and connections.is_configured
    group by connections.crm_source_key
)

select
    connections.source_key,
    least(connections.as_of_at, coalesce(tied.known_until_at, connections.as_of_at))
        as known_until_at,
    connections.tells_missed_calls or tied.source_key is not null as has_missed_calls,
    tied.pbx_from_at
from connections
left join tied
    on connections.source_key = tied.source_key
where connections.is_crm or connections.crm_source_key is null
