{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with closes as (
    select * from {{ ref('int_deal_closes') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    closes.deal_close_key,
    closes.source_key,
    closes.deal_key,
    closes.close_number,
    closes.outcome,
    closes.pipeline_key,
    closes.stage_key,
    closes.closed_at,
    closes.closed_on,
    closes.ended_at,
    closes.is_reopened,
    closes.is_current,
    closes.is_counted,
    coalesce(closes.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    closes.owner_basis,
    {{ reporting_key('employees', 'closes.closed_on', 'closes.owner_employee_key') }}
        as reporting_employee_key
from closes
left join employees
    on closes.owner_employee_key = employees.employee_key
