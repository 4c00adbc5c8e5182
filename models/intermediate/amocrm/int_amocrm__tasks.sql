-- Planned work: tasks of every type. A task tells whether it is done, its event tells when and by
-- whom; without one the task's last change is taken.
{{ config(materialized='affected_keys', affected_nodes=planned_node()) }}

with tasks as (
    select * from {{ ref('stg_amocrm__tasks') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where event_type = 'task_completed' and entity_type = 'task'
),

deleted as (
    select * from {{ ref('stg_amocrm__deleted_records') }}
    where entity = 'tasks'
),

connections as (
    select * from {{ ref('int_connections') }}
),

completions as (
    select
        source_key,
        entity_id as task_id,
        created_at as completed_at,
        created_by_id as completed_by_id,
        row_number() over (
            partition by source_key, entity_id order by created_at desc, event_id desc
        ) as age
    from events
    where created_at <= received_at
),

completed as (
    select
        tasks.*,
        coalesce(completions.completed_at, tasks.modified_at) as ended_at,
        -- Without an event the owner; with one its author, who may be a robot.
        case
            when completions.task_id is null then tasks.owner_id
            else completions.completed_by_id
        end as ended_by_id,
        case when completions.task_id is not null then 'system' else 'last_change' end
            as ended_at_basis
    from tasks
    left join completions
        on tasks.source_key = completions.source_key
        and tasks.task_id = completions.task_id
        and completions.age = 1
)

select
    completed.source_key,
    'tasks' as entity,
    completed.task_id as record_id,
    -- 2 is a meeting in every account (vendor's page tasks); others are calls and own types.
    case completed.task_type_id when 2 then 'meeting' else 'task' end as task_kind,
    completed.title,
    case completed.entity_type when 'leads' then 'deal' end as card_type,
    case completed.entity_type when 'leads' then completed.entity_id end as card_id,
    completed.owner_id as responsible_id,
    completed.created_by_id,
    completed.created_at,
    completed.deadline_at,
    case completed.task_type_id when 2 then completed.deadline_at end as held_at,
    completed.is_completed
    and coalesce(completed.ended_at <= connections.as_of_at, true) as is_completed,
    case
        when completed.is_completed and completed.ended_at <= connections.as_of_at
            then completed.ended_by_id
    end as completed_by_id,
    case
        when completed.is_completed and completed.ended_at <= connections.as_of_at
            then completed.ended_at
    end as completed_at,
    completed.ended_at_basis as completed_at_basis,
    deleted.record_id is not null as is_deleted,
    coalesce(completed.created_at > connections.as_of_at, false) as is_after_cut,
    deleted.record_id is null
    and coalesce(completed.created_at <= connections.as_of_at, true) as is_counted
from completed
inner join connections
    on completed.source_key = connections.source_key
left join deleted
    on completed.source_key = deleted.source_key
    and completed.task_id = deleted.record_id
    and completed.received_at <= deleted.noticed_at
