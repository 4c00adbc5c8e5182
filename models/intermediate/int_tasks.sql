-- Planned work of all systems that counts: tasks, to-dos, meetings.
{{ config(materialized='affected_keys', affected_nodes=planned_node()) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__tasks') }}
    where is_counted
),

amocrm as (
    select * from {{ ref('int_amocrm__tasks') }}
    where is_counted
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['source_key', 'entity', 'record_id']) }} as task_key,
    source_key,
    entity,
    record_id,
    task_kind,
    title,
    {{ card_key('card_type', 'card_id') }} as card_key,
    case when responsible_id is not null then {{ hash_key(['source_key', 'responsible_id']) }} end
        as owner_employee_key,
    case when created_by_id is not null then {{ hash_key(['source_key', 'created_by_id']) }} end
        as creator_employee_key,
    case when completed_by_id is not null then {{ hash_key(['source_key', 'completed_by_id']) }} end
        as completer_employee_key,
    created_at,
    deadline_at,
    held_at,
    is_completed,
    completed_at,
    completed_at_basis
from unioned
