-- Calls as the telephony counts them: all legs of a conversation are one call. Its direction is
-- that of its first leg with the outside; legs between extensions are not talk with the client. Who
-- spoke longest spoke; of a call that nobody answered, the one who called or the only one rung.
with legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

directions as (
    select
        pbx_call_key,
        coalesce(
            min_by(direction, leg_number) filter (where direction <> 'internal'), 'internal'
        ) as direction
    from legs
    group by pbx_call_key
),

-- Legs that count for the call: with the client, or all of an internal call.
own_legs as (
    select
        legs.*,
        directions.direction as call_direction,
        legs.direction <> 'internal' or directions.direction = 'internal' as is_own
    from legs
    inner join directions
        on legs.pbx_call_key = directions.pbx_call_key
),

-- Who spoke longest, of several the first.
ranked as (
    select
        *,
        row_number() over (
            partition by pbx_call_key, is_own and is_answered
            order by talk_seconds desc, leg_number asc
        ) as talk_rank
    from own_legs
),

grouped as (
    select
        pbx_call_key,
        source_key,
        crm_source_key,
        pbx_call_id,
        call_direction,
        count(*) as leg_count,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        min(answered_at) filter (where is_own and is_answered) as answered_at,
        sum(talk_seconds) filter (where is_own and is_answered) as talk_seconds,
        coalesce(bool_or(is_own and is_answered), false) as is_answered,
        max_by(call_result, leg_number) filter (where is_own) as last_result,
        coalesce(bool_or(is_own and call_result = 'voicemail'), false) as is_voicemail,
        max_by(result_code, leg_number) filter (where is_own) as result_code,
        min_by(talk_basis, leg_number) as talk_basis,
        min_by(client_phone, leg_number) filter (where is_own and client_phone is not null)
            as client_phone,
        min_by(phone_e164, leg_number) filter (where is_own and phone_e164 is not null)
            as phone_e164,
        min_by(line, leg_number) filter (where line is not null) as line,
        min_by(call_leg_key, leg_number) filter (where is_own and is_answered and talk_rank = 1)
            as talk_leg_key,
        min_by(call_leg_key, leg_number) filter (where is_own and extension is not null)
            as first_leg_key,
        count(distinct extension) filter (where is_own) as extensions_count,
        string_agg(distinct extension, ', ' order by extension) filter (where is_own)
            as extensions,
        min_by(recording_url, leg_number) filter (where recording_url is not null)
            as recording_url,
        min_by(entity, leg_number) as entity
    from ranked
    group by pbx_call_key, source_key, crm_source_key, pbx_call_id, call_direction
),

with_leg as (
    select
        *,
        case
            when is_answered then talk_leg_key
            when call_direction = 'inbound' and extensions_count > 1 then null
            else first_leg_key
        end as spoken_leg_key
    from grouped
)

select
    with_leg.pbx_call_key,
    with_leg.source_key,
    with_leg.crm_source_key,
    with_leg.pbx_call_id,
    with_leg.call_direction as direction,
    with_leg.call_direction <> 'internal' as is_external,
    with_leg.started_at,
    with_leg.answered_at,
    with_leg.ended_at,
    case
        when with_leg.is_answered
            then {{ seconds_between('with_leg.started_at', 'with_leg.answered_at') }}::bigint
        else {{ seconds_between('with_leg.started_at', 'with_leg.ended_at') }}::bigint
    end as wait_seconds,
    -- Legs of a transfer follow one another; what overlaps is no more talk.
    case
        when with_leg.is_answered
            then least(
                with_leg.talk_seconds,
                {{ seconds_between('with_leg.answered_at', 'with_leg.ended_at') }}::bigint
            )
        else 0
    end::bigint as talk_seconds,
    {{ seconds_between('with_leg.started_at', 'with_leg.ended_at') }}::bigint as total_seconds,
    with_leg.talk_basis,
    with_leg.result_code,
    case
        when with_leg.is_answered then 'answered'
        when with_leg.is_voicemail then 'voicemail'
        else coalesce(with_leg.last_result, 'unknown')
    end as call_result,
    with_leg.is_answered,
    with_leg.client_phone,
    with_leg.phone_e164,
    with_leg.line,
    spoken.extension,
    with_leg.extensions,
    spoken.talker_id,
    coalesce(spoken.talker_basis, 'unknown') as talker_basis,
    with_leg.recording_url,
    with_leg.leg_count,
    with_leg.entity
from with_leg
left join legs as spoken
    on with_leg.spoken_leg_key = spoken.call_leg_key
