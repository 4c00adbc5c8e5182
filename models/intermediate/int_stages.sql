-- Stages of deals of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__stages') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__stages') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key,
    source_key,
    pipeline_id,
    stage_id,
    stage_name,
    stage_sort,
    is_listed,
    is_known,
    stage_semantics
from unioned
