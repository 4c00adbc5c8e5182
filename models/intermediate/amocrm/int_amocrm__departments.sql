-- Groups of users are the account's departments.
{{ config(materialized='view') }}

with user_groups as (
    select * from {{ ref('stg_amocrm__groups') }}
)

select
    source_key,
    group_id as department_id,
    group_name as department_name
from user_groups
