-- Deadlines that were moved: of tasks the portal keeps the history, of activities only what loads
-- have seen. A first deadline is no move.
{{ config(materialized='affected_keys', affected_nodes=planned_node()) }}

with task_history as (
    select * from {{ ref('stg_bitrix24__task_history') }}
    where changed_field = 'DEADLINE'
),

versions as (
    select * from {{ ref('stg_bitrix24__activity_versions') }}
    -- "No deadline" is printed as the year 9999.
    where year(deadline_at) < 9999
),

connections as (
    select * from {{ ref('int_connections') }}
),

seen as (
    select
        *,
        lag(deadline_at) over (
            partition by source_key, activity_id order by first_seen_at
        ) as previous_deadline_at
    from versions
),

unioned as (
    select
        source_key,
        'tasks' as entity,
        task_id as record_id,
        history_id::varchar as move_id,
        changed_at as moved_at,
        changed_by_id as moved_by_id,
        make_timestamp(try_cast(value_from as bigint) * 1000000) as deadline_from_at,
        make_timestamp(try_cast(value_to as bigint) * 1000000) as deadline_to_at,
        false as is_lower_bound
    from task_history
    where try_cast(value_from as bigint) > 0 and try_cast(value_to as bigint) > 0
    union all
    select
        source_key,
        'activities' as entity,
        activity_id as record_id,
        epoch_us(first_seen_at)::varchar as move_id,
        first_seen_at as moved_at,
        null::bigint as moved_by_id,
        previous_deadline_at as deadline_from_at,
        deadline_at as deadline_to_at,
        true as is_lower_bound
    from seen
    where previous_deadline_at <> deadline_at
)

select unioned.*
from unioned
inner join connections
    on unioned.source_key = connections.source_key
where
    unioned.moved_at <= connections.as_of_at
    and unioned.deadline_from_at <> unioned.deadline_to_at
