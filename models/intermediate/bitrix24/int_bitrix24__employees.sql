-- Every account that the portal lists or once listed, or a record names. user.get never returns
-- robots and integrations: an id that only records know is a system account.
with users as (
    select * from {{ ref('stg_bitrix24__users') }}
),

versions as (
    select * from {{ ref('stg_bitrix24__user_versions') }}
),

load_log as (
    select * from {{ ref('stg_bitrix24__load_log') }}
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

-- Every load reads all users: the first one after the last sight as active shows them inactive, or
-- no longer at all.
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

-- The log does not reach back beyond a restored archive, the versions do.
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
        origin_id,
        employee_name,
        is_active,
        department_id,
        extension,
        last_login_at,
        last_activity_at,
        received_at as seen_at
    from users
    union all
    select
        newest_versions.source_key,
        newest_versions.employee_id,
        null as origin_id,
        newest_versions.employee_name,
        newest_versions.is_active,
        newest_versions.department_id,
        newest_versions.extension,
        newest_versions.last_login_at,
        newest_versions.last_activity_at,
        newest_versions.last_seen_at as seen_at
    from newest_versions
    left join users
        on newest_versions.source_key = users.source_key
        and newest_versions.employee_id = users.employee_id
    where newest_versions.age = 1 and users.employee_id is null
),

-- A user missing from the last list is inactive and keeps the last known name.
listed as (
    select
        known.*,
        known.is_active and known.seen_at >= connections.as_of_at as is_present,
        connections.time_zone,
        greatest(known.last_login_at, known.last_activity_at) as last_own_action_at
    from known
    inner join connections
        on known.source_key = connections.source_key
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
