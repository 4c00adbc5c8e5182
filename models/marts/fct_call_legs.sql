-- Legs of the telephony's calls: whom a call rang, who spoke, how it was handed over.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

calls as (
    select * from {{ ref('int_calls_unified') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

named as (
    select
        legs.*,
        calls.call_key,
        case
            when legs.talker_id is not null
                then {{ hash_key(['legs.crm_source_key', 'legs.talker_id']) }}
            else {{ nobody_key() }}
        end as talker_employee_key
    from legs
    inner join calls
        on legs.pbx_call_key = calls.pbx_call_key
)

select
    named.call_leg_key,
    named.call_key,
    named.source_key as pbx_source_key,
    named.leg_number::integer as leg_number,
    named.direction,
    named.started_at,
    days.date_day as started_on,
    named.answered_at,
    named.ended_at,
    named.call_result,
    named.is_answered,
    named.talk_seconds::integer as talk_seconds,
    named.total_seconds::integer as total_seconds,
    named.line,
    named.extension,
    named.is_shared_extension,
    named.talker_employee_key,
    named.talker_basis,
    {{ reporting_key('employees', 'days.date_day', 'named.talker_employee_key') }}
        as reporting_employee_key
from named
inner join days
    on named.started_at::date = days.utc_on
    and named.started_at >= days.starts_at
    and named.started_at < days.ends_at
left join employees
    on named.talker_employee_key = employees.employee_key
