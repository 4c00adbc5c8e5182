-- Lines of the company's file that say who was responsible for a deal from a day on. Lines that
-- name no known employee are told by the rule RULES.
with owners_of_file as (
    select * from {{ ref('stg_company__owners') }}
),

employees as (
    select * from {{ ref('int_employees') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

dated as (
    select
        {{ hash_key(['owners_of_file.source_key', 'owners_of_file.deal_id']) }} as deal_key,
        owners_of_file.source_key,
        owners_of_file.employee_id,
        owners_of_file.owned_from_on,
        {{ local_midnight('owners_of_file.owned_from_on', 'connections.time_zone') }}
            as owned_from_at
    from owners_of_file
    inner join connections
        on owners_of_file.source_key = connections.source_key
    inner join employees
        on owners_of_file.source_key = employees.source_key
        and owners_of_file.employee_id = employees.employee_id
)

select
    {{ hash_key(['deal_key', "'file'", "coalesce(owned_from_on::varchar, '')"]) }}
        as owner_interval_key,
    deal_key,
    source_key,
    employee_id,
    owned_from_on,
    owned_from_at
from dated
