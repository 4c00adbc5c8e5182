-- Whose an extension is, and when it was. Of a telephony by the company's file, and where that does
-- not name the extension, by the users of the CRM; of the CRM itself by its users. The first
-- version of a user that a load has seen holds for all the time before it. From their dismissal on
-- people are no longer employed holders: they stay one for calls that nobody else can have made.
with connections as (
    select * from {{ ref('int_connections') }}
),

tied_connections as (
    select * from {{ ref('int_connections') }}
    where crm_source_key is not null
),

employees as (
    select * from {{ ref('int_employees') }}
),

extensions_of_file as (
    select * from {{ ref('stg_company__extensions') }}
),

versions as (
    select * from {{ ref('int_account_versions') }}
),

by_file as (
    select
        extensions_of_file.source_key,
        extensions_of_file.extension,
        extensions_of_file.employee_id,
        case
            when extensions_of_file.from_on is null then {{ beginning_of_time() }}
            else
                {{ local_midnight('extensions_of_file.from_on', 'tied_connections.time_zone') }}
        end as valid_from,
        case
            when extensions_of_file.until_on is null then {{ end_of_time() }}
            else
                {{ local_midnight('extensions_of_file.until_on', 'tied_connections.time_zone') }}
        end as valid_to
    from extensions_of_file
    inner join tied_connections
        on extensions_of_file.source_key = tied_connections.source_key
),

named_by_file as (
    select
        source_key,
        extension
    from by_file
    group by source_key, extension
),

ordered_versions as (
    select
        source_key,
        employee_id,
        extension,
        first_seen_at,
        row_number() over (partition by source_key, employee_id order by first_seen_at) as place,
        lead(first_seen_at) over (partition by source_key, employee_id order by first_seen_at)
            as next_seen_at
    from versions
),

bounded_versions as (
    select
        source_key,
        employee_id,
        extension,
        case when place = 1 then {{ beginning_of_time() }} else first_seen_at end as valid_from,
        coalesce(next_seen_at, {{ end_of_time() }}) as valid_to
    from ordered_versions
),

by_crm as (
    select
        tied_connections.source_key,
        bounded_versions.extension,
        bounded_versions.employee_id,
        bounded_versions.valid_from,
        bounded_versions.valid_to
    from bounded_versions
    inner join tied_connections
        on bounded_versions.source_key = tied_connections.crm_source_key
    left join named_by_file
        on tied_connections.source_key = named_by_file.source_key
        and bounded_versions.extension = named_by_file.extension
    where bounded_versions.extension is not null and named_by_file.extension is null
),

holders as (
    select
        *,
        'file' as holder_basis
    from by_file
    union all
    select
        *,
        'crm_user' as holder_basis
    from by_crm
),

dated as (
    select
        holders.*,
        connections.crm_source_key,
        {{ hash_key(['connections.crm_source_key', 'holders.employee_id']) }} as employee_key,
        employees.person_key,
        case
            when employees.former_from_on < date '9999-12-31'
                then {{ local_midnight('employees.former_from_on', 'connections.time_zone') }}
            else {{ end_of_time() }}
        end as former_from_at
    from holders
    inner join connections
        on holders.source_key = connections.source_key
    left join employees
        on connections.crm_source_key = employees.source_key
        and holders.employee_id = employees.employee_id
)

select
    source_key,
    crm_source_key,
    extension,
    employee_id,
    employee_key,
    coalesce(person_key, employee_key) as person_key,
    valid_from,
    least(valid_to, former_from_at) as valid_to,
    true as is_employed,
    holder_basis
from dated
where valid_from < former_from_at
union all
select
    source_key,
    crm_source_key,
    extension,
    employee_id,
    employee_key,
    coalesce(person_key, employee_key) as person_key,
    greatest(valid_from, former_from_at) as valid_from,
    valid_to,
    false as is_employed,
    holder_basis
from dated
where valid_to > former_from_at
