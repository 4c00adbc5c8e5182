-- Accounts as the portal lists them. Own action: login and activity in the portal, not the calls
-- and moves that run under the account.
{{ config(materialized='view') }}

with users as (
    select * from {{ ref('stg_bitrix24__users') }}
)

select
    source_key,
    employee_id,
    origin_id,
    employee_name,
    is_active,
    department_id,
    extension,
    greatest(last_login_at, last_activity_at) as last_own_action_at,
    registered_at,
    received_at as seen_at
from users
