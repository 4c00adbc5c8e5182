-- Accounts as earlier loads have seen them.
{{ config(materialized='view') }}

with versions as (
    select * from {{ ref('stg_bitrix24__user_versions') }}
)

select
    source_key,
    employee_id,
    employee_name,
    is_active,
    department_id,
    extension,
    greatest(last_login_at, last_activity_at) as last_own_action_at,
    first_seen_at,
    last_seen_at
from versions
