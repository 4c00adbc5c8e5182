-- Received rows that are not, or not fully, counted, all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__rejected_rows') }}
)

select
    rule_id,
    source_key,
    entity,
    record_id,
    sentence
from bitrix24
