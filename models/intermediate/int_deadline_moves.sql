-- Moved deadlines of planned work, all systems.
{{ config(materialized='affected_keys', affected_by=['task_key']) }}

with bitrix24 as (
    select * from {{ ref('int_bitrix24__deadline_moves') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__deadline_moves') }}
),

tasks as (
    select * from {{ ref('int_tasks') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['unioned.source_key', 'unioned.entity', 'unioned.record_id', 'unioned.move_id']) }}
        as deadline_move_key,
    unioned.source_key,
    tasks.task_key,
    tasks.card_key,
    unioned.moved_at,
    case
        when unioned.moved_by_id is not null
            then {{ hash_key(['unioned.source_key', 'unioned.moved_by_id']) }}
    end as mover_employee_key,
    unioned.deadline_from_at,
    unioned.deadline_to_at,
    unioned.is_lower_bound
from unioned
inner join tasks
    on unioned.source_key = tasks.source_key
    and unioned.entity = tasks.entity
    and unioned.record_id = tasks.record_id
