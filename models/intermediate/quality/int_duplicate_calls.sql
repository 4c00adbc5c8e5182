-- Calls that are told twice though no id says so (Q13): one number, direction and talker, begun
-- within `duplicate_call_seconds` while the first was going on, and as long up to as many seconds.
{{ config(materialized='affected_keys', affected_by=['call_line_key']) }}

with calls as (
    select * from {{ ref('int_call_lines') }}
),

rules as (
    select * from {{ ref('stg_company__quality_rules') }}
),

followed as (
    select
        *,
        lag(call_key) over earlier as earlier_call_key,
        lag(started_at) over earlier as earlier_started_at,
        lag(total_seconds) over earlier as earlier_total_seconds
    from calls
    window earlier as (partition by call_line_key order by started_at, call_key)
)

select
    followed.call_key,
    followed.call_line_key,
    followed.earlier_call_key
from followed
cross join rules
where
    {{ epoch_second('followed.started_at') }} - {{ epoch_second('followed.earlier_started_at') }}
    <= rules.duplicate_call_seconds
    and {{ epoch_second('followed.started_at') }}
    < {{ epoch_second('followed.earlier_started_at') }} + followed.earlier_total_seconds
    and abs(followed.total_seconds - followed.earlier_total_seconds)
    <= rules.duplicate_call_seconds
