-- Dictionaries of sources of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__sources') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__sources') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    source_key,
    source_id,
    source_name,
    is_listed
from unioned
