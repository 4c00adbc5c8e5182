-- All connections of all systems. The report's as-of is the earliest of its CRM connections.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__connections') }}
)

select
    source_key,
    as_of_at,
    as_of_on,
    time_zone,
    talk_basis,
    is_configured,
    -- A connection that was removed from the rules holds nothing back.
    min(case when is_configured then as_of_at end) over () as report_as_of_at,
    min(case when is_configured then as_of_on end) over () as report_as_of_on
from bitrix24
