-- Rows that were received and are not, or not fully, counted, each with its sentence.
{% set ids = {
    'products': 'product_id',
    'companies': 'company_id',
    'contacts': 'contact_id',
    'leads': 'lead_id',
    'deals': 'deal_id',
    'invoices': 'invoice_id',
    'lead_stage_history': 'history_id',
    'stage_history': 'history_id',
    'invoice_stage_history': 'history_id',
    'activities': 'activity_id',
    'tasks': 'task_id',
    'calls': 'call_id',
    'product_rows': 'product_row_id',
    'task_history': 'history_id',
} %}
{% set read_whole = [
    'users', 'departments', 'categories', 'statuses', 'currencies', 'custom_fields',
    'custom_field_options',
] %}

with quarantine as (
    select * from {{ ref('stg_bitrix24__quarantine') }}
),

history as (
    select * from {{ ref('stg_bitrix24__stage_history') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

connections as (
    select * from {{ ref('int_bitrix24__connections') }}
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
),

smart_items as (
    select * from {{ ref('stg_bitrix24__smart_items') }}
),

timeline_comments as (
    select * from {{ ref('stg_bitrix24__timeline_comments') }}
),

readable as (
    {% for entity, id in ids.items() %}
    select
        source_key,
        '{{ entity }}' as entity,
        {{ id }} as record_id,
        received_at
    from {{ ref('stg_bitrix24__' ~ entity) }}
    union all
    {% endfor %}
    select
        source_key,
        'smart_items_' || entity_type_id as entity,
        item_id as record_id,
        received_at
    from smart_items
    union all
    -- A comment stands once per card.
    select
        source_key,
        'timeline_comments' as entity,
        comment_id as record_id,
        max(received_at) as received_at
    from timeline_comments
    group by source_key, comment_id
),

-- A row that arrived readable later, or is gone, is no longer waiting; one of a list that every
-- load reads whole waits only if the last load met it again.
waiting as (
    select quarantine.*
    from quarantine
    inner join connections
        on quarantine.source_key = connections.source_key
    left join readable
        on quarantine.source_key = readable.source_key
        and quarantine.entity = readable.entity
        and quarantine.record_id = readable.record_id
        and quarantine.received_at <= readable.received_at
    left join deleted
        on quarantine.source_key = deleted.source_key
        and quarantine.entity = deleted.entity
        and quarantine.record_id = deleted.record_id
        and quarantine.received_at <= deleted.noticed_at
    where
        readable.record_id is null
        and deleted.record_id is null
        and (
            quarantine.entity not in ({{ "'" ~ read_whole | join("', '") ~ "'" }})
            or quarantine.received_at >= connections.as_of_at
        )
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
