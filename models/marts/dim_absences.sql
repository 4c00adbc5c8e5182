-- Absences of the company's file; lines that name no known employee are told by the rule RULES.
with absences as (
    select * from {{ ref('stg_company__absences') }}
),

employees as (
    select * from {{ ref('int_employees') }}
)

select
    {{ hash_key(['employees.employee_key', 'absences.from_on']) }} as absence_key,
    employees.employee_key,
    absences.source_key,
    absences.from_on,
    absences.until_on
from absences
inner join employees
    on absences.source_key = employees.source_key
    and absences.employee_id = employees.employee_id
