-- Calls that are told twice though no id says so (Q13): one number, direction and talker, begun
-- within `duplicate_call_seconds` while the first was going on, and as long up to as many seconds.
{{ config(materialized='affected_keys', affected_by=['call_line_key']) }}

with calls as (
    select
        *,
        {{ shown_call_id() }} as shown_id,
        {{ call_line_key() }} as call_line_key
    from {{ ref('fct_calls') }}
    where is_external and phone_e164 is not null
),

rules as (
    select * from {{ ref('stg_company__quality_rules') }}
),

judged as (
    select
        calls.call_key,
        calls.call_line_key,
        calls.source_key,
        calls.card_key,
        calls.phone_e164,
        calls.direction,
        calls.talker_employee_key,
        calls.started_at,
        calls.total_seconds,
        calls.shown_id,
        rules.duplicate_call_seconds
    from calls
    cross join rules
),

followed as (
    select
        *,
        lag(started_at) over earlier as earlier_started_at,
        lag(total_seconds) over earlier as earlier_total_seconds,
        lag(shown_id) over earlier as earlier_shown_id
    from judged
    window earlier as (
        partition by source_key, phone_e164, direction, talker_employee_key
        order by started_at, call_key
    )
)

select
    followed.call_key,
    followed.source_key,
    followed.card_key,
    followed.shown_id,
    followed.earlier_shown_id,
    followed.started_at,
    followed.talker_employee_key,
    followed.call_line_key
from followed
where
    {{ epoch_second('followed.started_at') }} - {{ epoch_second('followed.earlier_started_at') }}
    <= followed.duplicate_call_seconds
    and {{ epoch_second('followed.started_at') }}
    < {{ epoch_second('followed.earlier_started_at') }} + followed.earlier_total_seconds
    and abs(followed.total_seconds - followed.earlier_total_seconds)
    <= followed.duplicate_call_seconds
