-- Calls as the telephony counts them: all legs of a conversation are one call. Its direction is
-- that of its first leg with the outside; legs between extensions are not talk with the client. Who
-- spoke longest spoke; of a call that nobody answered, the one who called or the only one rung.
-- Most calls have one leg and go past the windows; the others are windows instead of groups, for
-- DuckDB can't put aggregates of text to disk: 10 million calls needed 9.4 GB, with 3 allowed.
{{ config(materialized='affected_keys', affected_by=['pbx_call_key']) }}

with legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

-- Calls with a second leg, once each.
transferred as (
    select pbx_call_key
    from legs
    where leg_number = 2
),

single_legs as (
    select
        legs.pbx_call_key,
        legs.source_key,
        legs.crm_source_key,
        legs.pbx_call_id,
        legs.direction,
        1 as leg_count,
        legs.started_at,
        legs.ended_at,
        case when legs.is_answered then legs.answered_at end as answered_at,
        case when legs.is_answered then legs.talk_seconds end as talk_seconds,
        legs.is_answered,
        legs.call_result as last_result,
        legs.call_result = 'voicemail' as is_voicemail,
        legs.result_code,
        legs.talk_basis,
        legs.client_phone,
        legs.phone_e164,
        legs.line,
        legs.extension as extensions,
        legs.recording_url,
        legs.entity,
        legs.extension,
        case when legs.is_answered or legs.extension is not null then legs.talker_id end
            as talker_id,
        case when legs.is_answered or legs.extension is not null then legs.talker_basis end
            as talker_basis
    from legs
    left join transferred
        on legs.pbx_call_key = transferred.pbx_call_key
    where transferred.pbx_call_key is null
),

directed as (
    select
        legs.*,
        coalesce(
            first_value(nullif(legs.direction, 'internal') ignore nulls) over (
                partition by legs.pbx_call_key order by legs.leg_number
                rows between unbounded preceding and unbounded following
            ),
            'internal'
        ) as call_direction
    from legs
    inner join transferred
        on legs.pbx_call_key = transferred.pbx_call_key
),

-- Legs that count for the call: with the client, or all of an internal call.
own_legs as (
    select
        *,
        direction <> 'internal' or call_direction = 'internal' as is_own
    from directed
),

-- What an own leg tells, and what only one that was answered tells.
told_legs as (
    select
        *,
        is_own and is_answered as is_spoken,
        case when is_own then call_result end as own_result,
        case when is_own then result_code end as own_result_code,
        case when is_own then client_phone end as own_client_phone,
        case when is_own then phone_e164 end as own_phone_e164,
        case when is_own then extension end as own_extension,
        case when is_own and extension is not null then call_leg_key end as extension_leg_key,
        case when is_own and is_answered then talk_seconds end as own_talk_seconds,
        case when is_own and is_answered then answered_at end as own_answered_at
    from own_legs
),

ranked as (
    select
        *,
        max(own_talk_seconds) over (partition by pbx_call_key) as longest_seconds
    from told_legs
),

gathered as (
    select
        pbx_call_key,
        source_key,
        crm_source_key,
        pbx_call_id,
        call_direction as direction,
        leg_number,
        count(*) over call_legs as leg_count,
        min(started_at) over call_legs as started_at,
        max(ended_at) over call_legs as ended_at,
        min(own_answered_at) over call_legs as answered_at,
        sum(own_talk_seconds) over call_legs as talk_seconds,
        max(case when is_spoken then 1 else 0 end) over call_legs = 1 as is_answered,
        last_value(own_result ignore nulls) over call_legs as last_result,
        max(case when own_result = 'voicemail' then 1 else 0 end) over call_legs = 1
            as is_voicemail,
        last_value(own_result_code ignore nulls) over call_legs as result_code,
        first_value(talk_basis ignore nulls) over call_legs as talk_basis,
        first_value(own_client_phone ignore nulls) over call_legs as client_phone,
        first_value(own_phone_e164 ignore nulls) over call_legs as phone_e164,
        first_value(line ignore nulls) over call_legs as line,
        min(own_extension) over call_legs as lowest_extension,
        max(own_extension) over call_legs as highest_extension,
        -- Who spoke longest, of several the first.
        first_value(
            case when own_talk_seconds = longest_seconds then call_leg_key end ignore nulls
        ) over call_legs as talk_leg_key,
        first_value(extension_leg_key ignore nulls) over call_legs as first_leg_key,
        first_value(recording_url ignore nulls) over call_legs as recording_url,
        first_value(entity ignore nulls) over call_legs as entity
    from ranked
    window call_legs as (
        partition by pbx_call_key order by leg_number
        rows between unbounded preceding and unbounded following
    )
),

rung as (
    select
        pbx_call_key,
        own_extension
    from told_legs
    where own_extension is not null
    group by pbx_call_key, own_extension
),

several_extensions as (
    select
        pbx_call_key,
        string_agg(own_extension, ', ' order by own_extension) as extensions
    from rung
    group by pbx_call_key
    having count(*) > 1
),

with_leg as (
    select
        gathered.*,
        coalesce(several_extensions.extensions, gathered.lowest_extension) as extensions,
        case
            when gathered.is_answered then gathered.talk_leg_key
            when
                gathered.direction = 'inbound'
                and gathered.lowest_extension <> gathered.highest_extension then null
            else gathered.first_leg_key
        end as spoken_leg_key
    from gathered
    left join several_extensions
        on gathered.pbx_call_key = several_extensions.pbx_call_key
    where gathered.leg_number = 1
),

spoken as (
    select
        legs.call_leg_key,
        legs.extension,
        legs.talker_id,
        legs.talker_basis
    from legs
    inner join transferred
        on legs.pbx_call_key = transferred.pbx_call_key
),

calls as (
    select * from single_legs
    union all
    select
        with_leg.pbx_call_key,
        with_leg.source_key,
        with_leg.crm_source_key,
        with_leg.pbx_call_id,
        with_leg.direction,
        with_leg.leg_count,
        with_leg.started_at,
        with_leg.ended_at,
        with_leg.answered_at,
        with_leg.talk_seconds,
        with_leg.is_answered,
        with_leg.last_result,
        with_leg.is_voicemail,
        with_leg.result_code,
        with_leg.talk_basis,
        with_leg.client_phone,
        with_leg.phone_e164,
        with_leg.line,
        with_leg.extensions,
        with_leg.recording_url,
        with_leg.entity,
        spoken.extension,
        spoken.talker_id,
        spoken.talker_basis
    from with_leg
    left join spoken
        on with_leg.spoken_leg_key = spoken.call_leg_key
)

select
    pbx_call_key,
    source_key,
    crm_source_key,
    pbx_call_id,
    direction,
    direction <> 'internal' as is_external,
    started_at,
    answered_at,
    ended_at,
    case
        when is_answered then {{ seconds_between('started_at', 'answered_at') }}::bigint
        else {{ seconds_between('started_at', 'ended_at') }}::bigint
    end as wait_seconds,
    -- Legs of a transfer follow one another; what overlaps is no more talk.
    case
        when is_answered
            then least(
                talk_seconds, {{ seconds_between('answered_at', 'ended_at') }}::bigint
            )
        else 0
    end::bigint as talk_seconds,
    {{ seconds_between('started_at', 'ended_at') }}::bigint as total_seconds,
    talk_basis,
    result_code,
    case
        when is_answered then 'answered'
        when is_voicemail then 'voicemail'
        else coalesce(last_result, 'unknown')
    end as call_result,
    is_answered,
    client_phone,
    phone_e164,
    line,
    extension,
    extensions,
    talker_id,
    coalesce(talker_basis, 'unknown') as talker_basis,
    recording_url,
    leg_count,
    entity
from calls
