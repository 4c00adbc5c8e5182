-- Accounts as earlier loads have seen them, all systems.
with versions as (
    select * from {{ ref('int_bitrix24__account_versions') }}
    union all
    select * from {{ ref('int_amocrm__account_versions') }}
)

select
    source_key,
    employee_id,
    employee_name,
    is_active,
    department_id,
    extension,
    last_own_action_at,
    first_seen_at,
    last_seen_at
from versions
