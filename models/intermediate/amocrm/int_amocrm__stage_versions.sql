-- Versions of stages that loads have seen.
{{ config(materialized='view') }}

with versions as (
    select * from {{ ref('stg_amocrm__status_versions') }}
)

select
    source_key,
    pipeline_id,
    status_id::varchar as stage_id,
    status_sort as stage_sort,
    case status_id when 142 then 'won' when 143 then 'lost' else 'open' end as stage_semantics,
    first_seen_at,
    last_seen_at
from versions
