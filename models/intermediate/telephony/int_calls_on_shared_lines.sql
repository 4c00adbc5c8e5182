-- External calls on an extension that several employees held at their start: of the telephony, and
-- of calls that only the CRM has by the extension of its user. Whose turn a call is, if the company
-- spreads such calls, depends on the call alone: a late call moves no other.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_unified') }}
    where is_external
),

holders as (
    select * from {{ ref('int_extension_holders') }}
    where is_employed
),

crowded as (
    select
        source_key,
        extension
    from holders
    group by source_key, extension
    having count(distinct person_key) > 1
),

on_extension as (
    select
        call_key,
        pbx_source_key as line_source_key,
        extension,
        started_at
    from calls
    where pbx_source_key is not null and extension is not null
    union all
    select
        calls.call_key,
        holders.source_key as line_source_key,
        holders.extension,
        calls.started_at
    from calls
    inner join holders
        on calls.source_key = holders.source_key
        and calls.talker_employee_key = holders.employee_key
        and calls.started_at >= holders.valid_from
        and calls.started_at < holders.valid_to
    where calls.pbx_source_key is null
),

held as (
    select
        on_extension.call_key,
        on_extension.line_source_key,
        on_extension.extension,
        holders.person_key
    from on_extension
    inner join crowded
        on on_extension.line_source_key = crowded.source_key
        and on_extension.extension = crowded.extension
    inner join holders
        on on_extension.line_source_key = holders.source_key
        and on_extension.extension = holders.extension
        and on_extension.started_at >= holders.valid_from
        and on_extension.started_at < holders.valid_to
    group by
        on_extension.call_key, on_extension.line_source_key, on_extension.extension,
        holders.person_key
),

in_turn as (
    select
        call_key,
        line_source_key,
        extension,
        person_key,
        row_number() over (partition by call_key order by person_key) - 1 as place,
        count(*) over (partition by call_key) as holders_count
    from held
)

select
    call_key,
    line_source_key,
    extension,
    holders_count,
    person_key as turn_employee_key
from in_turn
where holders_count > 1 and place = call_key % holders_count
