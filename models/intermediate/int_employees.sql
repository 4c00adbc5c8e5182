-- Accounts of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__employees') }}
)

select
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
    dismissed_on,
    dismissed_on_basis
from bitrix24
