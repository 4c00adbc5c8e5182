-- What raw holds of the entities that become facts, and how much of it does not count, each reason
-- counted.
with deals as (
    select * from {{ ref('int_bitrix24__deals') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

leads as (
    select * from {{ ref('int_bitrix24__leads') }}
),

history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

tasks as (
    select * from {{ ref('int_bitrix24__tasks') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

messages as (
    select * from {{ ref('int_bitrix24__messages') }}
),

activities as (
    select * from {{ ref('int_bitrix24__activity_kinds') }}
),

cards as (
    select
        'deal' as card_type,
        source_key,
        deal_id as card_id,
        is_counted
    from deals
    union all
    select
        'lead' as card_type,
        source_key,
        lead_id as card_id,
        is_counted
    from leads
),

lead_counts as (
    select
        source_key,
        'leads' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from leads
    group by source_key
),

deal_counts as (
    select
        source_key,
        'deals' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        count(*) filter (where is_template and not is_deleted) as template_count,
        count(*) filter (where is_after_cut and not is_deleted and not is_template)
            as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from deals
    group by source_key
),

merged_calls as (
    select
        source_key,
        count(*) as merged_count
    from call_rows
    where call_id <> representative_id
    group by source_key
),

placed_calls as (
    select
        calls.source_key,
        count(*) as rows_held,
        count(*) filter (
            where
            calls.started_at > connections.as_of_at or calls.started_at > calls.received_at
        ) as waiting_count
    from calls
    inner join connections
        on calls.source_key = connections.source_key
    group by calls.source_key
),

call_counts as (
    select
        placed_calls.source_key,
        'calls' as entity,
        placed_calls.rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        placed_calls.waiting_count,
        coalesce(merged_calls.merged_count, 0) as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from placed_calls
    left join merged_calls
        on placed_calls.source_key = merged_calls.source_key
),

history_counts as (
    select
        history.source_key,
        history.entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (
            where cards.is_counted
            and (
                history.entered_at > connections.as_of_at
                or history.entered_at > history.received_at
            )
        ) as waiting_count,
        0::bigint as merged_count,
        -- History of cards that don't count: deleted, templates, after the cut.
        count(*) filter (where cards.card_id is null or not cards.is_counted) as orphan_count,
        0::bigint as other_count
    from history
    inner join connections
        on history.source_key = connections.source_key
    left join cards
        on history.source_key = cards.source_key
        and history.card_type = cards.card_type
        and history.card_id = cards.card_id
    group by history.source_key, history.entity
),

task_counts as (
    select
        source_key,
        entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from tasks
    where entity = 'tasks'
    group by source_key, entity
),

-- Activities are planned work, messages, or mirrors of calls and tasks that count elsewhere.
activity_rows as (
    select
        source_key,
        is_deleted,
        is_after_cut,
        false as is_mirror
    from tasks
    where entity = 'activities'
    union all
    select
        source_key,
        is_deleted,
        is_after_cut,
        false as is_mirror
    from messages
    union all
    select
        source_key,
        false as is_deleted,
        false as is_after_cut,
        true as is_mirror
    from activities
    where activity_kind in ('call', 'task', 'other')
),

activity_counts as (
    select
        source_key,
        'activities' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where is_mirror) as other_count
    from activity_rows
    group by source_key
)

select * from deal_counts
union all
select * from task_counts
union all
select * from activity_counts
union all
select * from lead_counts
union all
select * from call_counts
union all
select * from history_counts
