{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with custom_fields as (
    select * from {{ ref('int_custom_field_values') }}
),

cards as (
    select * from {{ ref('int_cards') }}
)

select
    {{ hash_key(['custom_fields.card_key', 'custom_fields.segment_type']) }} as card_segment_key,
    cards.source_key,
    cards.card_type,
    cards.card_key,
    cards.deal_key,
    case cards.card_type when 'lead' then cards.lead_key end as lead_key,
    custom_fields.segment_type,
    custom_fields.segment_value
from custom_fields
inner join cards
    on custom_fields.card_key = cards.card_key
