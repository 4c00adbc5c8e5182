-- Users as earlier loads have seen them.
{{ config(materialized='view') }}

with versions as (
    select * from {{ ref('stg_amocrm__user_versions') }}
),

own_actions as (
    select * from {{ ref('int_amocrm__own_actions') }}
)

select
    versions.source_key,
    versions.employee_id,
    versions.employee_name,
    versions.is_active,
    versions.group_id as department_id,
    null::varchar as extension,
    own_actions.last_own_action_at,
    versions.first_seen_at,
    versions.last_seen_at
from versions
left join own_actions
    on versions.source_key = own_actions.source_key
    and versions.employee_id = own_actions.employee_id
