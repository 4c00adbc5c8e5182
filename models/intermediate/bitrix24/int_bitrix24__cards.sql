-- Deals and leads that count, as far as their stage visits need them.
{{ config(materialized='view') }}

with deals as (
    select * from {{ ref('int_bitrix24__deals') }}
    where is_counted
),

leads as (
    select * from {{ ref('int_bitrix24__leads') }}
    where is_counted
),

connections as (
    select * from {{ ref('int_connections') }}
),

cards as (
    select
        'deal' as card_type,
        deal_key as card_key,
        source_key,
        deal_id as card_id,
        pipeline_id,
        stage_id,
        stage_semantics_code,
        owner_id,
        created_at,
        -- The system's own word on when the card reached its final stage.
        moved_at as final_at
    from deals
    union all
    select
        'lead' as card_type,
        lead_key as card_key,
        source_key,
        lead_id as card_id,
        pipeline_id,
        stage_id,
        stage_semantics_code,
        owner_id,
        created_at,
        closed_at as final_at
    from leads
)

select
    cards.card_type,
    cards.card_key,
    cards.source_key,
    cards.card_id,
    cards.pipeline_id,
    cards.stage_id,
    cards.stage_semantics_code,
    cards.owner_id,
    cards.created_at,
    cards.final_at,
    connections.as_of_at
from cards
inner join connections
    on cards.source_key = connections.source_key
