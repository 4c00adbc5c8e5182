-- Departments of all systems. The company's file of heads wins over what a system says.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__departments') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__departments') }}
),

heads as (
    select * from {{ ref('stg_company__department_heads') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    unioned.source_key,
    unioned.department_id,
    unioned.department_name,
    unioned.parent_department_id,
    coalesce(heads.employee_id, unioned.head_employee_id) as head_employee_id,
    unioned.is_listed
from unioned
left join heads
    on unioned.source_key = heads.source_key
    and unioned.department_name = heads.department_name
