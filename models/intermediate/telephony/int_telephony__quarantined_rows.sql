-- Rows of telephony that could not be read. The days before a load are read again: a row that stays
-- unreadable is met again as long as it lies in them.
{{ config(materialized='view') }}

with quarantine as (
    select * from {{ ref('stg_telephony__quarantine') }}
)

select
    source_key,
    entity,
    payload_hash,
    record_id,
    reason,
    received_at,
    false as is_read_whole
from quarantine
