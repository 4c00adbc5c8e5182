-- Why deals that are lost now were lost: what the system's dictionary says, else the custom field
-- that the company names, else the stage on which they are.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with deals as (
    select * from {{ ref('int_deals') }}
),

states as (
    select * from {{ ref('int_card_states') }}
    where card_type = 'deal' and card_state = 'lost'
),

dictionary as (
    select * from {{ ref('int_loss_reasons') }}
),

fields as (
    select * from {{ ref('int_custom_field_values') }}
    where segment_type = 'loss_reason'
),

stages as (
    select * from {{ ref('int_stages') }}
),

found as (
    select
        deals.deal_key,
        deals.source_key,
        case
            when deals.loss_reason_id is not null then 'dictionary'
            when fields.card_key is not null then 'field'
            else 'stage'
        end as loss_reason_basis,
        case
            when deals.loss_reason_id is not null then deals.loss_reason_id::varchar
            when fields.card_key is not null then fields.segment_value
            else stages.pipeline_id || ':' || stages.stage_id
        end as loss_reason_id,
        case
            when deals.loss_reason_id is not null
                then
                    coalesce(
                        nullif(dictionary.loss_reason_name, ''),
                        'Loss reason ' || deals.loss_reason_id
                    )
            when fields.card_key is not null then fields.segment_value
            else stages.stage_name
        end as loss_reason_name
    from states
    inner join deals
        on states.card_key = deals.deal_key
    left join stages
        on states.stage_key = stages.stage_key
    left join dictionary
        on deals.source_key = dictionary.source_key
        and deals.loss_reason_id = dictionary.loss_reason_id
    left join fields
        on deals.deal_key = fields.card_key
)

select
    deal_key,
    source_key,
    {{ hash_key(['source_key', 'loss_reason_basis', 'loss_reason_id']) }} as loss_reason_key,
    loss_reason_basis,
    loss_reason_id,
    loss_reason_name
from found
