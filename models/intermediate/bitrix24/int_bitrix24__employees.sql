-- Every account that the portal lists or a record names. user.get never returns robots and
-- integrations: an id that only records know is a system account.
with users as (
    select * from {{ ref('stg_bitrix24__users') }}
),

snapshots as (
    select * from {{ ref('stg_bitrix24__user_snapshots') }}
),

departments as (
    select * from {{ ref('stg_bitrix24__departments') }}
),

deals as (
    select * from {{ ref('int_bitrix24__deals') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

connections as (
    select * from {{ ref('int_bitrix24__connections') }}
),

dismissals as (
    select * from {{ ref('stg_company__dismissals') }}
),

named_ids as (
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
    from calls
),

named as (
    select
        source_key,
        employee_id
    from named_ids
    where employee_id is not null
    group by source_key, employee_id
),

last_active as (
    select
        source_key,
        employee_id,
        max(observed_on) as last_active_on
    from snapshots
    where is_active
    group by source_key, employee_id
),

snapshot_days as (
    select
        source_key,
        observed_on
    from snapshots
    group by source_key, observed_on
),

-- The first day whose snapshot shows them inactive, or no longer at all, after the last one that
-- shows them active.
seen_leaving as (
    select
        last_active.source_key,
        last_active.employee_id,
        min(snapshot_days.observed_on) as dismissed_on
    from last_active
    inner join snapshot_days
        on last_active.source_key = snapshot_days.source_key
        and last_active.last_active_on < snapshot_days.observed_on
    group by last_active.source_key, last_active.employee_id
),

-- A user missing from the last list is inactive and keeps the last known name.
listed as (
    select
        users.*,
        users.is_active and users.received_at >= connections.as_of_at as is_present,
        connections.time_zone,
        greatest(users.last_login_at, users.last_activity_at) as last_own_action_at
    from users
    inner join connections
        on users.source_key = connections.source_key
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.employee_id, named.employee_id) as employee_id,
    listed.origin_id,
    coalesce(
        nullif(listed.employee_name, ''),
        case when listed.employee_id is null then 'System account ' else 'Employee ' end
        || coalesce(listed.employee_id, named.employee_id)
    ) as employee_name,
    listed.employee_id is null as is_system,
    coalesce(listed.is_present, true) as is_active,
    departments.department_id,
    departments.department_name,
    listed.extension,
    listed.last_own_action_at,
    case
        when dismissals.dismissed_on is not null then dismissals.dismissed_on
        when listed.is_present or listed.employee_id is null then null
        when seen_leaving.dismissed_on is not null then seen_leaving.dismissed_on
        when listed.last_own_action_at is not null
            then {{ local_date('listed.last_own_action_at', 'listed.time_zone') }} + 1
    end as dismissed_on,
    case
        when dismissals.dismissed_on is not null then 'file'
        when listed.is_present or listed.employee_id is null then null
        when seen_leaving.dismissed_on is not null then 'snapshot'
        when listed.last_own_action_at is not null then 'last_own_action'
        else 'unknown'
    end as dismissed_on_basis
from listed
full outer join named
    on listed.source_key = named.source_key
    and listed.employee_id = named.employee_id
left join departments
    on listed.source_key = departments.source_key
    and listed.department_id = departments.department_id
left join seen_leaving
    on listed.source_key = seen_leaving.source_key
    and listed.employee_id = seen_leaving.employee_id
left join dismissals
    on coalesce(listed.source_key, named.source_key) = dismissals.source_key
    and coalesce(listed.employee_id, named.employee_id) = dismissals.employee_id
