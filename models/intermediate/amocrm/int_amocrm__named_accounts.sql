-- Users that records name. Robots act as user 0, which is nobody: an id that no list has is a
-- removed user, or one whom the access may not see.
with deals as (
    select * from {{ ref('int_amocrm__deals') }}
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
),

own_actions as (
    select * from {{ ref('int_amocrm__own_actions') }}
),

owner_changes as (
    select * from {{ ref('int_amocrm__owner_changes') }}
),

tasks as (
    select * from {{ ref('stg_amocrm__tasks') }}
),

notes as (
    select * from {{ ref('stg_amocrm__notes') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
),

named as (
    select
        source_key,
        owner_id as employee_id
    from deals
    union all
    select
        source_key,
        moved_by_id as employee_id
    from deals
    union all
    select
        source_key,
        created_by_id as employee_id
    from deals
    union all
    select
        source_key,
        talker_id as employee_id
    from call_rows
    union all
    select
        source_key,
        owner_id_before as employee_id
    from owner_changes
    union all
    select
        source_key,
        owner_id as employee_id
    from owner_changes
    union all
    select
        source_key,
        owner_id as employee_id
    from tasks
    union all
    select
        source_key,
        created_by_id as employee_id
    from tasks
    union all
    select
        source_key,
        owner_id as employee_id
    from notes
    union all
    select
        source_key,
        created_by_id as employee_id
    from notes
    union all
    select
        source_key,
        created_by_id as employee_id
    from events
),

known as (
    select
        source_key,
        employee_id
    from named
    where employee_id is not null
    group by source_key, employee_id
)

select
    known.source_key,
    known.employee_id,
    false as is_system,
    own_actions.last_own_action_at
from known
left join own_actions
    on known.source_key = own_actions.source_key
    and known.employee_id = own_actions.employee_id
