-- Every account that a system lists or once listed, that a record names, or, where the last load
-- could not list them, that the company's file names. Dismissed on: the file, else the first sight
-- as inactive or missing, else, inactive at first sight, the day after the last own action.
with accounts as (
    select * from {{ ref('int_bitrix24__accounts') }}
    union all
    select * from {{ ref('int_amocrm__accounts') }}
),

versions as (
    select * from {{ ref('int_account_versions') }}
),

reads as (
    select * from {{ ref('int_bitrix24__account_reads') }}
    union all
    select * from {{ ref('int_amocrm__account_reads') }}
),

named_by_records as (
    select * from {{ ref('int_bitrix24__named_accounts') }}
    union all
    select * from {{ ref('int_amocrm__named_accounts') }}
),

departments as (
    select * from {{ ref('int_departments') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

dismissals as (
    select * from {{ ref('stg_company__dismissals') }}
),

employees_of_file as (
    select * from {{ ref('stg_company__employees') }}
),

last_read as (
    select
        source_key,
        max(read_at) as read_at
    from reads
    group by source_key
),

named as (
    select
        source_key,
        employee_id,
        is_system,
        last_own_action_at
    from named_by_records
    union all
    select
        employees_of_file.source_key,
        employees_of_file.employee_id,
        false as is_system,
        null as last_own_action_at
    from employees_of_file
    inner join connections
        on employees_of_file.source_key = connections.source_key
    left join last_read
        on employees_of_file.source_key = last_read.source_key
    left join named_by_records
        on employees_of_file.source_key = named_by_records.source_key
        and employees_of_file.employee_id = named_by_records.employee_id
    where
        coalesce(last_read.read_at < connections.as_of_at, true)
        and named_by_records.employee_id is null
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

-- The first reading of all accounts after the last sight as active shows them inactive, or no
-- longer at all.
read_without as (
    select
        last_active.source_key,
        last_active.employee_id,
        min(reads.read_at) as noticed_at
    from last_active
    inner join reads
        on last_active.source_key = reads.source_key
        and last_active.last_active_at < reads.read_at
    group by last_active.source_key, last_active.employee_id
),

-- The log does not reach back beyond a restored archive, the versions do.
noticed as (
    select * from seen_inactive
    union all
    select * from read_without
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
        last_own_action_at,
        registered_at,
        seen_at
    from accounts
    union all
    select
        newest_versions.source_key,
        newest_versions.employee_id,
        null as origin_id,
        newest_versions.employee_name,
        newest_versions.is_active,
        newest_versions.department_id,
        newest_versions.extension,
        newest_versions.last_own_action_at,
        null as registered_at,
        newest_versions.last_seen_at as seen_at
    from newest_versions
    left join accounts
        on newest_versions.source_key = accounts.source_key
        and newest_versions.employee_id = accounts.employee_id
    where newest_versions.age = 1 and accounts.employee_id is null
),

-- Missing from the last list is inactive with the last known name; an id that never stood in a list
-- has left before the first load, unless the last load could not list them: then it may be new.
merged as (
    select
        coalesce(known.source_key, named.source_key) as source_key,
        coalesce(known.employee_id, named.employee_id) as employee_id,
        known.origin_id,
        nullif(known.employee_name, '') as listed_name,
        known.department_id,
        known.extension,
        known.registered_at,
        coalesce(known.last_own_action_at, named.last_own_action_at) as last_own_action_at,
        known.employee_id is null and named.is_system as is_system,
        case
            when known.employee_id is null
                then named.is_system or coalesce(last_read.read_at < connections.as_of_at, true)
            else known.is_active and coalesce(known.seen_at >= last_read.read_at, true)
        end as is_present
    from known
    full outer join named
        on known.source_key = named.source_key
        and known.employee_id = named.employee_id
    inner join connections
        on coalesce(known.source_key, named.source_key) = connections.source_key
    left join last_read
        on coalesce(known.source_key, named.source_key) = last_read.source_key
),

described as (
    select
        merged.source_key,
        merged.employee_id,
        merged.origin_id,
        coalesce(
            merged.listed_name,
            employees_of_file.employee_name,
            case when merged.is_system then 'System account ' else 'Employee ' end
            || merged.employee_id
        ) as employee_name,
        merged.is_system,
        merged.is_present as is_active,
        departments.department_id,
        coalesce(departments.department_name, employees_of_file.department_name) as department_name,
        merged.extension,
        merged.last_own_action_at,
        employees_of_file.person,
        employees_of_file.line as line_of_file,
        {{ local_date('merged.registered_at', 'connections.time_zone') }} as registered_on,
        case
            when dismissals.dismissed_on is not null then dismissals.dismissed_on
            when merged.is_present then null
            when seen_leaving.dismissed_on is not null then seen_leaving.dismissed_on
            when merged.last_own_action_at is not null
                then {{ local_date('merged.last_own_action_at', 'connections.time_zone') }} + 1
        end as dismissed_on,
        case
            when dismissals.dismissed_on is not null then 'file'
            when merged.is_present then null
            when seen_leaving.dismissed_on is not null then 'snapshot'
            when merged.last_own_action_at is not null then 'last_own_action'
            else 'unknown'
        end as dismissed_on_basis
    from merged
    inner join connections
        on merged.source_key = connections.source_key
    left join departments
        on merged.source_key = departments.source_key
        and merged.department_id = departments.department_id
    left join employees_of_file
        on merged.source_key = employees_of_file.source_key
        and merged.employee_id = employees_of_file.employee_id
    left join seen_leaving
        on merged.source_key = seen_leaving.source_key
        and merged.employee_id = seen_leaving.employee_id
    left join dismissals
        on merged.source_key = dismissals.source_key
        and merged.employee_id = dismissals.employee_id
),

keyed as (
    select
        *,
        {{ hash_key(['source_key', 'employee_id']) }} as employee_key
    from described
)

select
    employee_key,
    -- The person's first account in the file that exists stands for all of them.
    case
        when person is null then employee_key
        else first_value(employee_key) over (partition by person order by line_of_file)
    end as person_key,
    source_key,
    employee_id,
    origin_id,
    employee_name,
    is_system,
    is_active,
    department_id,
    department_name,
    extension,
    last_own_action_at,
    registered_on,
    dismissed_on,
    dismissed_on_basis,
    -- The account is former from this day on. Unknown date: former for all the loaded past.
    case
        when dismissed_on is not null then dismissed_on
        when dismissed_on_basis = 'unknown' then date '1900-01-01'
        else date '9999-12-31'
    end as former_from_on
from keyed
