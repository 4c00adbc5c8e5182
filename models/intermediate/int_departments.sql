-- Departments of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__departments') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__departments') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    source_key,
    department_id,
    department_name,
    parent_department_id,
    is_listed
from unioned
