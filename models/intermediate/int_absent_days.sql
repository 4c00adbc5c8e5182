-- Days on which a person is absent, by whichever account the file names them. Absences may overlap.
with absences as (
    select * from {{ ref('dim_absences') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select
        employees.person_key,
        {{ date_series('absences.from_on', '(absences.until_on - 1)') }}::date as date_day
    from absences
    inner join employees
        on absences.employee_key = employees.employee_key
)

select
    {{ hash_key(['person_key', 'date_day', "'absent'"]) }} as absent_day_key,
    person_key,
    date_day
from days
group by person_key, date_day
