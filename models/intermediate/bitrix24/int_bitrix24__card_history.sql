-- The portal's rows of history of deals and leads.
{{ config(materialized='view') }}

with deal_history as (
    select * from {{ ref('stg_bitrix24__stage_history') }}
),

lead_history as (
    select * from {{ ref('stg_bitrix24__lead_stage_history') }}
)

select
    'deal' as card_type,
    source_key,
    deal_id as card_id,
    history_id,
    entered_at,
    pipeline_id,
    stage_id,
    stage_semantics_code,
    received_at,
    'stage_history' as entity
from deal_history
union all
select
    'lead' as card_type,
    source_key,
    lead_id as card_id,
    history_id,
    entered_at,
    {{ leads_pipeline_id() }} as pipeline_id,
    stage_id,
    stage_semantics_code,
    received_at,
    'lead_stage_history' as entity
from lead_history
