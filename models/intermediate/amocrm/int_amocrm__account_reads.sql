-- When all users were read: at every load whose access is an administrator's.
{{ config(materialized='view') }}

with load_log as (
    select * from {{ ref('stg_amocrm__load_log') }}
    where entity = 'users' and problem is null
)

select
    source_key,
    cut_at as read_at
from load_log
