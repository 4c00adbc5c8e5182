-- External calls with a number, by talker, number and direction: where one is told twice, both are
-- on one such line.
{{ config(
    materialized='affected_keys',
    affected_by=['call_key'],
    read_by='call_line_key',
) }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and phone_e164 is not null
)

select
    call_key,
    {{ call_line_key() }} as call_line_key,
    started_at,
    total_seconds
from calls
