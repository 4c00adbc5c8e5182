-- Received rows that are not, or not fully, counted, all systems. A quarantined row that arrived
-- readable later, or is gone, is no longer waiting; one of a list that every load reads whole waits
-- only if the last load met it again.
with rejected as (
    select * from {{ ref('int_bitrix24__rejected_rows') }}
    union all
    select * from {{ ref('int_amocrm__rejected_rows') }}
),

quarantined as (
    select * from {{ ref('int_bitrix24__quarantined_rows') }}
    union all
    select * from {{ ref('int_amocrm__quarantined_rows') }}
    union all
    select * from {{ ref('int_telephony__quarantined_rows') }}
),

readable as (
    select * from {{ ref('int_bitrix24__received_records') }}
    union all
    select * from {{ ref('int_amocrm__received_records') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    union all
    select * from {{ ref('stg_amocrm__deleted_records') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

waiting as (
    select quarantined.*
    from quarantined
    inner join connections
        on quarantined.source_key = connections.source_key
    left join readable
        on quarantined.source_key = readable.source_key
        and quarantined.entity = readable.entity
        and quarantined.record_id = readable.record_id
        and quarantined.received_at <= readable.received_at
    left join deleted
        on quarantined.source_key = deleted.source_key
        and quarantined.entity = deleted.entity
        and quarantined.record_id = deleted.record_id
        and quarantined.received_at <= deleted.noticed_at
    where
        readable.record_id is null
        and deleted.record_id is null
        and (not quarantined.is_read_whole or quarantined.received_at >= connections.as_of_at)
)

select
    rule_id,
    finding,
    source_key,
    entity,
    record_id,
    card_key,
    call_key,
    facts
from rejected
union all
-- Only the field of a quarantined row is named: its value may be a person's.
select
    'QUARANTINE' as rule_id,
    'row_in_quarantine' as finding,
    source_key,
    entity,
    payload_hash as record_id,
    null::bigint as card_key,
    null::bigint as call_key,
    {{ facts({'entity': 'entity', 'field': "split_part(reason, ':', 1)"}) }} as facts
from waiting
