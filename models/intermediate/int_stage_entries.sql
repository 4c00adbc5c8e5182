-- Entries of cards into stages, all systems.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__stage_entries') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__stage_entries') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['card_key', 'entry_id']) }} as stage_entry_key,
    source_key,
    card_type,
    card_key,
    id_order,
    entered_at,
    was_before_creation,
    {{ hash_key(['source_key', 'pipeline_id']) }} as pipeline_key,
    {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key,
    pipeline_id,
    stage_id,
    case stage_semantics_code when 'S' then 'won' when 'F' then 'lost' else 'open' end
        as entry_semantics,
    is_inferred,
    is_recorded,
    entity
from unioned
