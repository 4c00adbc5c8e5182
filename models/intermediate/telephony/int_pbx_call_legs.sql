-- Legs of all telephony up to the cut, in one normal form: results by the seed, clients' numbers in
-- E.164, who spoke by extension and by name. A leg after the CRM's own cut waits with it.
{{ config(materialized='affected_keys', affected_by=['pbx_call_key']) }}

{% set providers = [
    'asterisk', 'mango', 'uis', 'megafon', 'zadarma', 'binotel', 'ringostat', 'generic',
] %}

with legs as (
    {% for provider in providers %}
    select * from {{ ref('int_' ~ provider ~ '__call_legs') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

connections as (
    select * from {{ ref('int_connections') }}
    where not is_crm
),

crm_connections as (
    select * from {{ ref('int_connections') }}
    where is_crm
),

results as (
    select * from {{ ref('telephony_call_results') }}
),

phone_numbers as (
    select * from {{ ref('stg_derived__phone_numbers') }}
),

holders as (
    select * from {{ ref('int_extension_holders') }}
),

talkers as (
    select * from {{ ref('stg_company__talkers') }}
),

versions as (
    select * from {{ ref('int_account_versions') }}
),

-- Left joins, though a leg without a connection counts nowhere: of an inner join with a bound in
-- time DuckDB expects a handful of rows, and then takes the legs for the smaller side of the joins
-- below. 11 million legs then needed more than the 3 GB it may have.
present as (
    select
        legs.*,
        connections.crm_source_key,
        connections.phone_region,
        split_part(legs.source_key, ':', 1) as system
    from legs
    left join connections
        on legs.source_key = connections.source_key
    left join crm_connections
        on connections.crm_source_key = crm_connections.source_key
    where
        legs.started_at <= coalesce(connections.as_of_at, {{ beginning_of_time() }})
        and legs.started_at
        <= coalesce(
            crm_connections.as_of_at, connections.as_of_at, {{ beginning_of_time() }}
        )
        and legs.started_at <= legs.received_at
),

-- Who holds an extension from one change of hands to the next: a leg then meets one row at most,
-- and millions of them need no grouping.
changes as (
    select
        source_key,
        extension,
        valid_from as begins_at
    from holders
    union
    select
        source_key,
        extension,
        valid_to as begins_at
    from holders
),

spans as (
    select
        source_key,
        extension,
        begins_at,
        lead(begins_at) over (partition by source_key, extension order by begins_at) as ends_at
    from changes
),

-- An extension that several people hold at once tells nobody; those who have left hold it only as
-- long as nobody else does. Of one person's accounts the first speaks.
held_spans as (
    select
        spans.source_key,
        spans.extension,
        spans.begins_at,
        spans.ends_at,
        coalesce(
            min(holders.employee_id) filter (where holders.is_employed), min(holders.employee_id)
        ) as holder_id,
        coalesce(
            nullif(count(distinct holders.person_key) filter (where holders.is_employed), 0),
            count(distinct holders.person_key)
        ) as holders_count
    from spans
    inner join holders
        on spans.source_key = holders.source_key
        and spans.extension = holders.extension
        and spans.begins_at >= holders.valid_from
        and spans.begins_at < holders.valid_to
    group by spans.source_key, spans.extension, spans.begins_at, spans.ends_at
),

names as (
    select
        source_key,
        talker_name,
        employee_id
    from talkers
    union
    -- The name of two people says nothing; the file's word on a name is the last.
    select
        connections.source_key,
        lower(versions.employee_name) as talker_name,
        min(versions.employee_id) as employee_id
    from versions
    inner join connections
        on versions.source_key = connections.crm_source_key
    left join talkers
        on connections.source_key = talkers.source_key
        and lower(versions.employee_name) = talkers.talker_name
    where versions.employee_name <> '' and talkers.talker_name is null
    group by connections.source_key, lower(versions.employee_name)
    having count(distinct versions.employee_id) = 1
),

described as (
    select
        present.*,
        case
            when present.told_result is not null then present.told_result
            when results.call_result is not null then results.call_result
            when present.result_code is not null then 'unknown'
            when present.talk_seconds > 0 then 'answered'
            else 'missed'
        end as call_result,
        present.result_code is null
        or present.told_result is not null
        or results.call_result is not null as is_known_result,
        phone_numbers.phone_e164,
        held_spans.holders_count,
        coalesce(
            case when held_spans.holders_count = 1 then held_spans.holder_id end,
            names.employee_id
        ) as talker_id,
        case
            when held_spans.holders_count = 1 then 'extension'
            when names.employee_id is not null then 'name'
            else 'unknown'
        end as talker_basis
    from present
    left join results
        on present.system = results.system
        and present.result_code = results.result_code
    left join phone_numbers
        on present.client_phone = phone_numbers.phone
        and present.phone_region = phone_numbers.phone_region
    left join held_spans
        on present.source_key = held_spans.source_key
        and present.extension = held_spans.extension
        and present.started_at >= held_spans.begins_at
        and present.started_at < held_spans.ends_at
    left join names
        on present.source_key = names.source_key
        and lower(trim(present.talker_name)) = names.talker_name
)

select
    {{ hash_key(['source_key', "'leg'", 'leg_id']) }} as call_leg_key,
    {{ hash_key(['source_key', "'call'", 'call_id']) }} as pbx_call_key,
    source_key,
    crm_source_key,
    leg_id,
    call_id as pbx_call_id,
    link_id,
    row_number() over (
        partition by source_key, call_id
        order by started_at, leg_order, length(link_id), link_id, leg_id
    ) as leg_number,
    coalesce(direction, 'unknown') as direction,
    started_at,
    case
        when call_result = 'answered'
            then started_at + {{ seconds('greatest(total_seconds - talk_seconds, 0)') }}
    end as answered_at,
    started_at + {{ seconds('total_seconds') }} as ended_at,
    case when call_result = 'answered' then talk_seconds else 0 end as talk_seconds,
    total_seconds,
    talk_basis,
    result_code,
    call_result,
    call_result = 'answered' as is_answered,
    is_known_result,
    client_phone,
    phone_e164,
    line,
    extension,
    coalesce(holders_count > 1, false) as is_shared_extension,
    talker_id,
    talker_basis,
    recording_url,
    entity
from described
