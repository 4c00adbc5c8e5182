-- All connections of all systems. As-of of a connection = the cut of its last complete load: a load
-- writes its log last and whole, so the newest row is a complete load's. The report's as-of is the
-- earliest of its CRM connections; a company without a CRM has its telephony's.
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
        connections.internal_digits,
        connections.source_key is not null as is_configured,
        coalesce(
            connections.is_crm,
            split_part(latest.source_key, ':', 1) in ('bitrix24', 'amocrm')
        ) as is_crm,
        connections.crm_source_key,
        coalesce(connections.tells_missed_calls, false) as tells_missed_calls,
        rules.time_zone,
        rules.phone_region,
        {{ local_date('latest.as_of_at', 'rules.time_zone') }} as as_of_on
    from latest
    cross join rules
    left join connections
        on latest.source_key = connections.source_key
),

has_crm as (
    select coalesce(bool_or(is_configured and is_crm), false) as has_crm
    from described
)

select
    described.source_key,
    described.as_of_at,
    described.as_of_on,
    described.time_zone,
    described.phone_region,
    described.talk_basis,
    described.portal_url,
    described.source_field,
    described.internal_digits,
    described.is_configured,
    described.is_crm,
    described.crm_source_key,
    described.tells_missed_calls,
    -- A connection that was removed from the rules holds nothing back.
    min(
        case
            when described.is_configured and (described.is_crm or not has_crm.has_crm)
                then described.as_of_at
        end
    ) over () as report_as_of_at,
    min(
        case
            when described.is_configured and (described.is_crm or not has_crm.has_crm)
                then described.as_of_on
        end
    ) over () as report_as_of_on
from described
cross join has_crm
