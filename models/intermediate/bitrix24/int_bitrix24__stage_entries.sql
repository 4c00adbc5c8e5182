-- One row per entry of a deal into a stage: the portal's history, or what can be inferred where a
-- deal has none. Rows after the cut wait; rows later than the server's clock when they were
-- received are excluded (Q12 names them).
with history as (
    select * from {{ ref('stg_bitrix24__stage_history') }}
),

deals as (
    select * from {{ ref('int_bitrix24__deals') }}
    where is_counted
),

stages as (
    select * from {{ ref('int_bitrix24__stages') }}
),

recorded as (
    select
        deals.source_key,
        deals.deal_key,
        deals.deal_id,
        history.history_id::varchar as entry_id,
        history.history_id as id_order,
        history.entered_at,
        history.entered_at < deals.created_at as was_before_creation,
        -- A row without a pipeline stands in the deal's own.
        coalesce(history.pipeline_id, deals.pipeline_id) as pipeline_id,
        history.stage_id,
        history.stage_semantics_code,
        false as is_inferred,
        true as is_recorded,
        'stage_history' as entity
    from history
    inner join deals
        on history.source_key = deals.source_key
        and history.deal_id = deals.deal_id
    where
        history.entered_at <= deals.as_of_at
        and history.entered_at <= history.received_at
),

without_history as (
    select
        deals.*,
        -- The dictionary's semantics; where it does not know the stage, the card's own.
        case
            when stages.is_known then stages.stage_semantics
            when deals.stage_semantics_code = 'S' then 'won'
            when deals.stage_semantics_code = 'F' then 'lost'
            else 'open'
        end as stage_semantics
    from deals
    left join recorded
        on deals.deal_key = recorded.deal_key
    left join stages
        on deals.source_key = stages.source_key
        and deals.pipeline_id = stages.pipeline_id
        and deals.stage_id = stages.stage_id
    where recorded.deal_key is null
),

-- A closed card without history stood on an unknown open stage until the system's close time.
inferred_opening as (
    select
        source_key,
        deal_key,
        deal_id,
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
        'stage_history' as entity
    from without_history
),

inferred_closing as (
    select
        source_key,
        deal_key,
        deal_id,
        'closing' as entry_id,
        1::bigint as id_order,
        greatest(moved_at, created_at) as entered_at,
        coalesce(moved_at < created_at, false) as was_before_creation,
        pipeline_id,
        stage_id,
        stage_semantics_code,
        true as is_inferred,
        false as is_recorded,
        'stage_history' as entity
    from without_history
    where
        stage_semantics <> 'open'
        and greatest(moved_at, created_at) <= as_of_at
)

select * from recorded
union all
select * from inferred_opening
union all
select * from inferred_closing
