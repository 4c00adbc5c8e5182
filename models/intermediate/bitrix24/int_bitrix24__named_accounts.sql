-- Accounts that records name. user.get never returns robots and integrations: an id that only
-- records know is a system account.
with deals as (
    select * from {{ ref('int_bitrix24__deals') }}
),

leads as (
    select * from {{ ref('int_bitrix24__leads') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
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
        owner_id as employee_id
    from leads
    union all
    select
        source_key,
        created_by_id as employee_id
    from leads
    union all
    select
        source_key,
        talker_id as employee_id
    from calls
)

select
    source_key,
    employee_id,
    true as is_system,
    null::timestamp as last_own_action_at
from named
where employee_id is not null
group by source_key, employee_id
