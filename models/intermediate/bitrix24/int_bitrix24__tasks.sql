-- Planned work on cards: tasks, to-dos and meetings. Activities that only mirror a task, a call or
-- a message are no work of their own.
{{ config(materialized='affected_keys', affected_nodes=planned_node()) }}

with tasks as (
    select * from {{ ref('stg_bitrix24__tasks') }}
),

activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

activity_kinds as (
    select * from {{ ref('int_bitrix24__activity_kinds') }}
    where activity_kind in ('todo', 'meeting', 'planned_call')
),

bindings as (
    select * from {{ ref('int_bitrix24__activity_cards') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity in ('tasks', 'activities')
),

connections as (
    select * from {{ ref('int_connections') }}
),

-- D_5 is a deal, L_5 a lead: the field also names contacts and companies.
bound as (
    select
        source_key,
        task_id,
        {{ unnest_list("json_extract_string(bound_cards, '$[*]')") }} as bound_card
    from tasks
),

task_cards as (
    select
        source_key,
        task_id,
        case when starts_with(bound_card, 'D_') then 'deal' else 'lead' end as card_type,
        try_cast(substr(bound_card, 3) as bigint) as card_id,
        row_number() over (
            partition by source_key, task_id
            order by
                case when starts_with(bound_card, 'D_') then 0 else 1 end,
                try_cast(substr(bound_card, 3) as bigint)
        ) as card_order
    from bound
    where starts_with(bound_card, 'D_') or starts_with(bound_card, 'L_')
),

unioned as (
    select
        tasks.source_key,
        'tasks' as entity,
        tasks.task_id as record_id,
        'task' as task_kind,
        tasks.title,
        task_cards.card_type,
        task_cards.card_id,
        tasks.responsible_id,
        tasks.created_by_id,
        coalesce(tasks.closed_by_id, tasks.responsible_id) as completed_by_id,
        tasks.created_at,
        tasks.deadline_at,
        null::timestamp as held_at,
        -- 5 is completed; 4 waits for somebody's approval (vendor's page tasks/fields).
        tasks.task_status = 5 as is_completed,
        coalesce(tasks.closed_at, tasks.modified_at) as completed_at,
        case when tasks.closed_at is not null then 'system' else 'last_change' end
            as completed_at_basis,
        tasks.received_at
    from tasks
    left join task_cards
        on tasks.source_key = task_cards.source_key
        and tasks.task_id = task_cards.task_id
        and task_cards.card_order = 1
    union all
    select
        activities.source_key,
        'activities' as entity,
        activities.activity_id as record_id,
        activity_kinds.activity_kind as task_kind,
        activities.subject as title,
        bindings.card_type,
        bindings.card_id,
        activities.responsible_id,
        activities.created_by_id,
        activities.responsible_id as completed_by_id,
        activities.created_at,
        activities.deadline_at,
        activities.started_at as held_at,
        activities.is_completed,
        -- Activities don't tell when they were done.
        activities.modified_at as completed_at,
        'last_change' as completed_at_basis,
        activities.received_at
    from activity_kinds
    inner join activities
        on activity_kinds.source_key = activities.source_key
        and activity_kinds.activity_id = activities.activity_id
    left join bindings
        on activities.source_key = bindings.source_key
        and activities.activity_id = bindings.activity_id
)

select
    unioned.source_key,
    unioned.entity,
    unioned.record_id,
    unioned.task_kind,
    unioned.title,
    unioned.card_type,
    unioned.card_id,
    unioned.responsible_id,
    unioned.created_by_id,
    unioned.created_at,
    -- "No deadline" is printed as the year 9999.
    case when year(unioned.deadline_at) < 9999 then unioned.deadline_at end as deadline_at,
    unioned.held_at,
    unioned.is_completed
    and coalesce(unioned.completed_at <= connections.as_of_at, true) as is_completed,
    case
        when
            unioned.is_completed
            and coalesce(unioned.completed_at <= connections.as_of_at, true)
            then unioned.completed_by_id
    end as completed_by_id,
    case
        when unioned.is_completed and unioned.completed_at <= connections.as_of_at
            then unioned.completed_at
    end as completed_at,
    unioned.completed_at_basis,
    deleted.record_id is not null as is_deleted,
    coalesce(unioned.created_at > connections.as_of_at, false) as is_after_cut,
    deleted.record_id is null
    and coalesce(unioned.created_at <= connections.as_of_at, true) as is_counted
from unioned
inner join connections
    on unioned.source_key = connections.source_key
left join deleted
    on unioned.source_key = deleted.source_key
    and unioned.entity = deleted.entity
    and unioned.record_id = deleted.record_id
    and unioned.received_at <= deleted.noticed_at
