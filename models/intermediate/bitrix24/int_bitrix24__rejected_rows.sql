-- Rows that were received and are not, or not fully, counted, each with its sentence.
with quarantine as (
    select * from {{ ref('stg_bitrix24__quarantine') }}
),

history as (
    select * from {{ ref('stg_bitrix24__stage_history') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

deals as (
    select * from {{ ref('stg_bitrix24__deals') }}
),

contacts as (
    select * from {{ ref('stg_bitrix24__contacts') }}
),

activities as (
    select * from {{ ref('stg_bitrix24__activities') }}
),

users as (
    select * from {{ ref('stg_bitrix24__users') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
),

-- A row that arrived readable later, or is gone, is no longer waiting.
identified as (
    select
        *,
        case when entity = 'deals' then record_id end as deal_id,
        case when entity = 'contacts' then record_id end as contact_id,
        case when entity = 'calls' then record_id end as call_id,
        case when entity = 'stage_history' then record_id end as history_id,
        case when entity = 'activities' then record_id end as activity_id,
        case when entity = 'users' then record_id end as employee_id
    from quarantine
),

waiting as (
    select identified.*
    from identified
    left join deals
        on identified.source_key = deals.source_key
        and identified.deal_id = deals.deal_id
        and identified.received_at <= deals.received_at
    left join contacts
        on identified.source_key = contacts.source_key
        and identified.contact_id = contacts.contact_id
        and identified.received_at <= contacts.received_at
    left join calls
        on identified.source_key = calls.source_key
        and identified.call_id = calls.call_id
        and identified.received_at <= calls.received_at
    left join history
        on identified.source_key = history.source_key
        and identified.history_id = history.history_id
        and identified.received_at <= history.received_at
    left join activities
        on identified.source_key = activities.source_key
        and identified.activity_id = activities.activity_id
        and identified.received_at <= activities.received_at
    left join users
        on identified.source_key = users.source_key
        and identified.employee_id = users.employee_id
        and identified.received_at <= users.received_at
    left join deleted
        on identified.source_key = deleted.source_key
        and identified.entity = deleted.entity
        and identified.record_id = deleted.record_id
        and identified.received_at <= deleted.noticed_at
    where
        coalesce(
            deals.deal_id, contacts.contact_id, calls.call_id, history.history_id,
            activities.activity_id, users.employee_id, deleted.record_id
        ) is null
)

-- Only the field of a quarantined row is named: its value may be a person's.
select
    'QUARANTINE' as rule_id,
    source_key,
    entity,
    payload_hash as record_id,
    'A row of ' || entity || ' could not be read and waits in quarantine (field '
    || split_part(reason, ':', 1) || ').' as sentence
from waiting
union all
select
    'Q12' as rule_id,
    source_key,
    'stage_history' as entity,
    history_id::varchar as record_id,
    'History row ' || history_id || ' of deal ' || deal_id
    || ' lay in the future when it was received: left out.' as sentence
from history
where entered_at > received_at
union all
select
    'Q16' as rule_id,
    source_key,
    'call' as entity,
    call_id::varchar as record_id,
    'Call ' || call_id || ' lasts ' || duration_seconds || ' seconds: counted as 0.' as sentence
from calls
where duration_seconds < 0
