{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with closes as (
    select * from {{ ref('int_deal_closes') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
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
    closes.is_counted and pipelines.pipeline_role = 'sales' as is_in_totals,
    deals.company_amount,
    ({{ seconds_between('deals.created_at', 'closes.closed_at') }})::decimal(18, 3)
        as cycle_seconds,
    coalesce(closes.owner_employee_key, {{ nobody_key() }}) as owner_employee_key,
    closes.owner_basis,
    {{ reporting_key('employees', 'closes.closed_on', 'closes.owner_employee_key') }}
        as reporting_employee_key
from closes
inner join pipelines
    on closes.pipeline_key = pipelines.pipeline_key
inner join deals
    on closes.deal_key = deals.deal_key
left join employees
    on closes.owner_employee_key = employees.employee_key
