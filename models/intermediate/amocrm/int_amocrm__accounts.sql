-- Users as the account lists them. The system keeps no logins: own action is what events tell.
{{ config(materialized='view') }}

with users as (
    select * from {{ ref('stg_amocrm__users') }}
),

own_actions as (
    select * from {{ ref('int_amocrm__own_actions') }}
)

select
    users.source_key,
    users.employee_id,
    null::varchar as origin_id,
    users.employee_name,
    users.is_active,
    users.group_id as department_id,
    null::varchar as extension,
    own_actions.last_own_action_at,
    null::timestamp as registered_at,
    users.received_at as seen_at
from users
left join own_actions
    on users.source_key = own_actions.source_key
    and users.employee_id = own_actions.employee_id
