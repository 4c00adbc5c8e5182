-- Departments of the portal.
{{ config(materialized='view') }}

with departments as (
    select * from {{ ref('stg_bitrix24__departments') }}
)

select
    source_key,
    department_id,
    department_name
from departments
