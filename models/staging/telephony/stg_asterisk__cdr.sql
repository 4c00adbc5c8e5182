with source as (
    select * from {{ source('raw_telephony', 'asterisk_cdr') }}
)

select
    source_key,
    row_key as leg_id,
    nullif(uniqueid, '') as unique_id,
    coalesce(nullif(linkedid, ''), nullif(uniqueid, ''), row_key) as call_id,
    sequence as leg_order,
    {{ utc('calldate') }} as started_at,
    nullif(src, '') as src,
    nullif(dst, '') as dst,
    dcontext,
    channel,
    nullif(dstchannel, '') as dstchannel,
    lower(lastapp) as last_application,
    duration as total_seconds,
    billsec as answered_seconds,
    upper(disposition) as result_code,
    nullif(did, '') as did,
    nullif(cnum, '') as cnum,
    nullif(outbound_cnum, '') as outbound_cnum,
    nullif(dst_cnam, '') as dst_cnam,
    nullif(cnam, '') as cnam,
    nullif(recordingfile, '') as recording_file,
    {{ utc('received_at') }} as received_at
from source
