-- Call detail records in the normal form of legs. A record has two parties: whose number is longer
-- than an extension is outside. Records of one `linkedid` are one call.
{{ config(
    materialized='affected_keys',
    affected_nodes=text_node('pbx', 'call_id'),
    is_linked=true,
) }}

with records as (
    select * from {{ ref('stg_asterisk__cdr') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

-- SIP/101-0000a1b2, PJSIP/101-…, Local/101@from-queue-…: the party behind a channel.
with_parties as (
    select
        records.*,
        connections.internal_digits,
        regexp_extract(records.channel, '/([0-9]+)[-@]', 1) as caller_peer,
        regexp_extract(records.dstchannel, '/([0-9]+)[-@]', 1) as called_peer,
        regexp_replace(records.src, '[^0-9]', '', 'g') as src_digits,
        regexp_replace(records.dst, '[^0-9]', '', 'g') as dst_digits,
        -- The channel's id begins with the second it was made in.
        try_cast(regexp_extract(records.unique_id, '([0-9]{9,10})\.[0-9]+$', 1) as bigint)
            as made_at_second
    from records
    inner join connections
        on records.source_key = connections.source_key
),

placed as (
    select
        *,
        -- A time that the clocks show twice was read as the first of the two; a channel can't be
        -- made an hour after its call began.
        case
            when made_at_second - {{ epoch_second('started_at') }} between 3540 and 3660
                then started_at + {{ seconds('3600') }}
            else started_at
        end as began_at,
        length(src_digits) > internal_digits as is_src_outside,
        length(dst_digits) > internal_digits as is_dst_outside,
        length(caller_peer) between 1 and internal_digits as has_caller_extension,
        length(called_peer) between 1 and internal_digits as has_called_extension
    from with_parties
),

directed as (
    select
        *,
        case
            when
                coalesce(is_dst_outside, false)
                and (has_caller_extension or not coalesce(is_src_outside, false))
                and did is null
                then 'outbound'
            -- Anonymous callers have no number; they have dialled one.
            when coalesce(is_src_outside, false) or did is not null then 'inbound'
            else 'internal'
        end as direction
    from placed
)

select
    source_key,
    leg_id,
    call_id,
    unique_id as link_id,
    coalesce(leg_order, 0) as leg_order,
    direction,
    began_at as started_at,
    greatest(coalesce(total_seconds, 0), 0)::bigint as total_seconds,
    greatest(coalesce(answered_seconds, 0), 0)::bigint as talk_seconds,
    'talk' as talk_basis,
    case
        when last_application like 'voicemail%' then 'VOICEMAIL'
        -- A queue or a menu has answered, no person.
        when result_code = 'ANSWERED' and dstchannel is null then 'NO ANSWER'
        else result_code
    end as result_code,
    null::varchar as told_result,
    case direction when 'inbound' then src when 'outbound' then dst end as client_phone,
    case direction when 'inbound' then did when 'outbound' then outbound_cnum end as line,
    case
        when direction = 'inbound' then case when has_called_extension then called_peer end
        when has_caller_extension then caller_peer
        when not is_src_outside then src_digits
        when length(cnum) <= internal_digits then cnum
    end as extension,
    case direction when 'inbound' then dst_cnam else cnam end as talker_name,
    recording_file as recording_url,
    'cdr' as entity,
    received_at
from directed
