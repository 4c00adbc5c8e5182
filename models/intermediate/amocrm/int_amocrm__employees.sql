-- Every account that the system lists or once listed, or a record names. 0 is a robot or an
-- integration; an id that only records know belonged to somebody who was removed.
with users as (
    select * from {{ ref('stg_amocrm__users') }}
),

versions as (
    select * from {{ ref('stg_amocrm__user_versions') }}
),

load_log as (
    select * from {{ ref('stg_amocrm__load_log') }}
    where entity = 'users' and problem is null
),

user_groups as (
    select * from {{ ref('stg_amocrm__groups') }}
),

deals as (
    select * from {{ ref('int_amocrm__deals') }}
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
    where created_by_id is not null
),

connections as (
    select * from {{ ref('int_amocrm__connections') }}
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
    from call_rows
),

named as (
    select
        source_key,
        employee_id
    from named_ids
    where employee_id is not null
    group by source_key, employee_id
),

last_actions as (
    select
        source_key,
        created_by_id as employee_id,
        max(created_at) as last_own_action_at
    from events
    group by source_key, created_by_id
),

last_active as (
    select
        source_key,
        employee_id,
        max(last_seen_at) as last_active_at
    from versions
    where is_active
    group by source_key, employee_id
),

seen_inactive as (
    select
        last_active.source_key,
        last_active.employee_id,
        min(versions.first_seen_at) as noticed_at
    from last_active
    inner join versions
        on last_active.source_key = versions.source_key
        and last_active.employee_id = versions.employee_id
        and last_active.last_active_at < versions.first_seen_at
    where not versions.is_active
    group by last_active.source_key, last_active.employee_id
),

loads as (
    select
        source_key,
        cut_at
    from load_log
    group by source_key, cut_at
),

-- Every load that may reads all users: the first one after the last sight as active shows them
-- inactive, or no longer at all.
loaded_without as (
    select
        last_active.source_key,
        last_active.employee_id,
        min(loads.cut_at) as noticed_at
    from last_active
    inner join loads
        on last_active.source_key = loads.source_key
        and last_active.last_active_at < loads.cut_at
    group by last_active.source_key, last_active.employee_id
),

noticed as (
    select * from seen_inactive
    union all
    select * from loaded_without
),

seen_leaving as (
    select
        noticed.source_key,
        noticed.employee_id,
        {{ local_date('min(noticed.noticed_at)', 'connections.time_zone') }} as dismissed_on
    from noticed
    inner join connections
        on noticed.source_key = connections.source_key
    group by noticed.source_key, noticed.employee_id, connections.time_zone
),

newest_versions as (
    select
        *,
        row_number() over (
            partition by source_key, employee_id
            order by first_seen_at desc
        ) as age
    from versions
),

-- Versions outlive the list: who is gone when a warehouse is restored stands only in them.
known as (
    select
        source_key,
        employee_id,
        employee_name,
        is_active,
        group_id,
        received_at as seen_at
    from users
    union all
    select
        newest_versions.source_key,
        newest_versions.employee_id,
        newest_versions.employee_name,
        newest_versions.is_active,
        newest_versions.group_id,
        newest_versions.last_seen_at as seen_at
    from newest_versions
    left join users
        on newest_versions.source_key = users.source_key
        and newest_versions.employee_id = users.employee_id
    where newest_versions.age = 1 and users.employee_id is null
),

last_read as (
    select
        source_key,
        max(cut_at) as users_read_at
    from loads
    group by source_key
),

-- A user missing from the last list is inactive and keeps the last known name.
listed as (
    select
        known.*,
        known.is_active and known.seen_at >= last_read.users_read_at as is_present,
        connections.time_zone,
        last_actions.last_own_action_at
    from known
    inner join connections
        on known.source_key = connections.source_key
    left join last_read
        on known.source_key = last_read.source_key
    left join last_actions
        on known.source_key = last_actions.source_key
        and known.employee_id = last_actions.employee_id
)

select
    coalesce(listed.source_key, named.source_key) as source_key,
    coalesce(listed.employee_id, named.employee_id) as employee_id,
    null::varchar as origin_id,
    coalesce(
        nullif(listed.employee_name, ''),
        'Employee ' || coalesce(listed.employee_id, named.employee_id)
    ) as employee_name,
    false as is_system,
    coalesce(listed.is_present, last_read.users_read_at is null) as is_active,
    user_groups.group_id as department_id,
    user_groups.group_name as department_name,
    null::varchar as extension,
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
left join last_read
    on coalesce(listed.source_key, named.source_key) = last_read.source_key
left join user_groups
    on listed.source_key = user_groups.source_key
    and listed.group_id = user_groups.group_id
left join seen_leaving
    on listed.source_key = seen_leaving.source_key
    and listed.employee_id = seen_leaving.employee_id
left join dismissals
    on coalesce(listed.source_key, named.source_key) = dismissals.source_key
    and coalesce(listed.employee_id, named.employee_id) = dismissals.employee_id
