-- When all accounts were read: at every load.
{{ config(materialized='view') }}

with load_log as (
    select * from {{ ref('stg_bitrix24__load_log') }}
)

select
    source_key,
    cut_at as read_at
from load_log
group by source_key, cut_at
