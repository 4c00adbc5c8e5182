-- One row per entry of a card into a stage: the portal's history, or what can be inferred where a
-- card has none. Rows after the cut wait; rows later than the server's clock when they were
-- received are excluded (Q12 names them).
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

cards as (
    select * from {{ ref('int_bitrix24__cards') }}
),

stages as (
    select * from {{ ref('int_bitrix24__stages') }}
),

recorded as (
    select
        cards.card_type,
        cards.card_key,
        cards.source_key,
        cards.card_id,
        history.history_id::varchar as entry_id,
        history.history_id as id_order,
        history.entered_at,
        history.entered_at < cards.created_at as was_before_creation,
        -- A row without a pipeline stands in the deal's own.
        coalesce(history.pipeline_id, cards.pipeline_id) as pipeline_id,
        history.stage_id,
        history.stage_semantics_code,
        false as is_inferred,
        true as is_recorded,
        history.entity
    from history
    inner join cards
        on history.source_key = cards.source_key
        and history.card_type = cards.card_type
        and history.card_id = cards.card_id
    where
        history.entered_at <= cards.as_of_at
        and history.entered_at <= history.received_at
),

without_history as (
    select
        cards.*,
        case cards.card_type when 'lead' then 'lead_stage_history' else 'stage_history' end
            as entity,
        -- The dictionary's semantics; where it does not know the stage, the card's own.
        case
            when stages.is_known then stages.stage_semantics
            when cards.stage_semantics_code = 'S' then 'won'
            when cards.stage_semantics_code = 'F' then 'lost'
            else 'open'
        end as stage_semantics
    from cards
    left join recorded
        on cards.card_key = recorded.card_key
    left join stages
        on cards.source_key = stages.source_key
        and cards.pipeline_id = stages.pipeline_id
        and cards.stage_id = stages.stage_id
    where recorded.card_key is null
),

-- A closed card without history stood on an unknown open stage until the system's close time.
inferred_opening as (
    select
        card_type,
        card_key,
        source_key,
        card_id,
        'opening' as entry_id,
        0::bigint as id_order,
        created_at as entered_at,
        false as was_before_creation,
        pipeline_id,
        case when stage_semantics = 'open' then stage_id else '(unknown)' end as stage_id,
        case when stage_semantics = 'open' then stage_semantics_code else 'P' end
            as stage_semantics_code,
        true as is_inferred,
        false as is_recorded,
        entity
    from without_history
),

inferred_closing as (
    select
        card_type,
        card_key,
        source_key,
        card_id,
        'closing' as entry_id,
        1::bigint as id_order,
        greatest(final_at, created_at) as entered_at,
        coalesce(final_at < created_at, false) as was_before_creation,
        pipeline_id,
        stage_id,
        stage_semantics_code,
        true as is_inferred,
        false as is_recorded,
        entity
    from without_history
    where
        stage_semantics <> 'open'
        and greatest(final_at, created_at) <= as_of_at
)

select * from recorded
union all
select * from inferred_opening
union all
select * from inferred_closing
