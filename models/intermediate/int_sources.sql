-- Dictionaries of sources of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__sources') }}
)

select
    source_key,
    source_id,
    source_name
from bitrix24
