-- Pipelines of deals of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__pipelines') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__pipelines') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    source_key,
    pipeline_id,
    pipeline_name,
    pipeline_sort,
    is_listed,
    is_archived
from unioned
