-- Talks that began while an earlier one of the same talker was going on, one row per call and
-- talker.
{{ config(materialized='affected_keys', affected_by=['talk_day_key']) }}

with talks as (
    select * from {{ ref('int_talks') }}
),

in_order as (
    select
        *,
        max(talk_until_at) over (
            partition by talker_employee_key, talk_on
            order by talk_from_at, call_key
            rows between unbounded preceding and 1 preceding
        ) as earlier_ends_at
    from talks
)

select
    call_key,
    talker_employee_key,
    is_of_legs,
    talk_day_key
from in_order
where talk_from_at < earlier_ends_at and talk_on = talk_from_at::date
