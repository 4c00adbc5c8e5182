-- Calls that are told twice though no id says so (Q13): one number, direction and talker, begun
-- within `duplicate_call_seconds` while the first was going on, and as long up to as many seconds.
{{ config(materialized='affected_keys', affected_by=['call_line_key']) }}

with calls as (
    select * from {{ ref('int_call_lines') }}
),

rules as (
    select * from {{ ref('stg_company__quality_rules') }}
),

-- The threshold beside each call: compared with the one row of rules, all would be a nested loop.
judged as (
    select
        calls.*,
        rules.duplicate_call_seconds
    from calls
    cross join rules
),

followed as (
    select
        *,
        lag(call_key) over earlier as earlier_call_key,
        lag(started_at) over earlier as earlier_started_at,
        lag(total_seconds) over earlier as earlier_total_seconds
    from judged
    window earlier as (partition by call_line_key order by started_at, call_key)
)

select
    call_key,
    call_line_key,
    earlier_call_key
from followed
where
    {{ epoch_second('started_at') }} - {{ epoch_second('earlier_started_at') }}
    <= duplicate_call_seconds
    and {{ epoch_second('started_at') }}
    < {{ epoch_second('earlier_started_at') }} + earlier_total_seconds
    and abs(total_seconds - earlier_total_seconds) <= duplicate_call_seconds
