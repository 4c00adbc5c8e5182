-- Groups of users are the account's departments; there is nothing above them.
with user_groups as (
    select * from {{ ref('stg_amocrm__groups') }}
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    user_groups.source_key,
    user_groups.group_id as department_id,
    user_groups.group_name as department_name,
    null::bigint as parent_department_id,
    null::bigint as head_employee_id,
    user_groups.received_at >= connections.as_of_at as is_listed
from user_groups
inner join connections
    on user_groups.source_key = connections.source_key
