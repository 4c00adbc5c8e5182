-- Legs of operators in the normal form of legs. A call that has none (lost in the menu, or the legs
-- may not be read) is one leg by itself.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with calls as (
    select * from {{ ref('stg_uis__calls') }}
),

operator_legs as (
    select
        *,
        row_number() over (partition by source_key, call_id order by started_at, leg_id) as place
    from {{ ref('stg_uis__call_legs') }}
    where is_operator and not is_coach
),

with_legs as (
    select
        source_key,
        call_id
    from operator_legs
    group by source_key, call_id
),

unioned as (
    select
        operator_legs.source_key,
        'leg ' || operator_legs.leg_id as leg_id,
        calls.call_id,
        calls.link_id,
        operator_legs.leg_id as leg_order,
        calls.direction,
        -- The caller waits from the call's beginning on, in the menu too.
        case when operator_legs.place = 1 then calls.started_at else operator_legs.started_at end
            as started_at,
        operator_legs.total_seconds
        + case
            when operator_legs.place = 1
                then {{ seconds_between('calls.started_at', 'operator_legs.started_at') }}::bigint
            else 0
        end as total_seconds,
        case when operator_legs.is_talked then operator_legs.talk_seconds end as talk_seconds,
        case when operator_legs.is_talked then 'answered' else 'lost' end as result_code,
        calls.client_phone,
        calls.line,
        operator_legs.extension,
        operator_legs.talker_name,
        'call_legs' as entity,
        operator_legs.received_at
    from operator_legs
    inner join calls
        on operator_legs.source_key = calls.source_key
        and operator_legs.call_id = calls.call_id
    union all
    select
        calls.source_key,
        'call ' || calls.call_id as leg_id,
        calls.call_id,
        calls.link_id,
        0 as leg_order,
        calls.direction,
        calls.started_at,
        calls.total_seconds,
        calls.talk_seconds,
        case
            when not calls.is_lost and calls.talk_seconds > 0 then 'answered' else 'lost'
        end as result_code,
        calls.client_phone,
        calls.line,
        null as extension,
        {{ json_path_text('calls.employees', '$[0].employee_full_name') }} as talker_name,
        'calls' as entity,
        calls.received_at
    from calls
    left join with_legs
        on calls.source_key = with_legs.source_key
        and calls.call_id = with_legs.call_id
    where with_legs.call_id is null
)

select
    source_key,
    leg_id,
    call_id::varchar as call_id,
    link_id,
    leg_order::bigint as leg_order,
    case direction when 'in' then 'inbound' when 'out' then 'outbound' end as direction,
    started_at,
    greatest(coalesce(total_seconds, 0), 0)::bigint as total_seconds,
    greatest(coalesce(talk_seconds, 0), 0)::bigint as talk_seconds,
    'talk' as talk_basis,
    result_code,
    null::varchar as told_result,
    client_phone,
    line,
    extension,
    talker_name,
    null::varchar as recording_url,
    entity,
    received_at
from unioned
