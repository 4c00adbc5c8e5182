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
    min(as_of_at) over () as report_as_of_at,
    min(as_of_on) over () as report_as_of_on
from bitrix24
