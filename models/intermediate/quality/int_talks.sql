-- Who was on the phone when, one row per call, talker and day: legs tell who spoke when, all legs
-- of one call being one talk; of calls that only the CRM has, the call does. A talk past midnight
-- (UTC) stands on each of its days, so that a day's rows tell which of its talks meet.
{{ config(
    materialized='affected_keys',
    affected_by=['call_key'],
    read_by='talk_day_key',
) }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

legs as (
    select * from {{ ref('fct_call_legs') }}
    where is_answered and talk_seconds > 0
),

talks as (
    select
        legs.call_key,
        legs.talker_employee_key,
        min(legs.answered_at) as talk_from_at,
        max(legs.ended_at) as talk_until_at,
        true as is_of_legs
    from legs
    inner join calls
        on legs.call_key = calls.call_key
    group by legs.call_key, legs.talker_employee_key
    union all
    select
        call_key,
        talker_employee_key,
        started_at as talk_from_at,
        started_at + {{ seconds('total_seconds') }} as talk_until_at,
        false as is_of_legs
    from calls
    where is_answered and pbx_source_key is null
),

-- Hardly any talk has a second day: only those are taken apart.
by_day as (
    select
        *,
        talk_from_at::date as talk_on
    from talks
    union all
    select
        *,
        {{ date_series('(talk_from_at::date + 1)', 'talk_until_at::date') }}::date as talk_on
    from talks
    where talk_until_at::date > talk_from_at::date
)

select
    call_key,
    talker_employee_key,
    talk_on,
    talk_from_at,
    talk_until_at,
    is_of_legs,
    {{ talk_day_key() }} as talk_day_key
from by_day
