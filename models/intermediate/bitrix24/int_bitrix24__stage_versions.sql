-- Versions of stages of deals and leads that loads have seen.
{{ config(materialized='view') }}

with versions as (
    select * from {{ ref('stg_bitrix24__status_versions') }}
    where
        dictionary in ('STATUS', 'DEAL_STAGE') or dictionary like 'DEAL\_STAGE\_%' escape '\'
)

select
    source_key,
    case
        when dictionary = 'STATUS' then {{ leads_pipeline_id() }}
        else coalesce(try_cast(nullif(substr(dictionary, 12), '') as bigint), 0)
    end as pipeline_id,
    status_id as stage_id,
    status_sort as stage_sort,
    case semantics_code when 'S' then 'won' when 'F' then 'lost' else 'open' end
        as stage_semantics,
    first_seen_at,
    last_seen_at
from versions
