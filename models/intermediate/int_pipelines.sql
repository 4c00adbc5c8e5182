-- Pipelines of deals of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__pipelines') }}
)

select
    source_key,
    pipeline_id,
    pipeline_name,
    pipeline_sort,
    is_listed
from bitrix24
