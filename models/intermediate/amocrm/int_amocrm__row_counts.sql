-- What raw holds, list by list, and how much of it does not count, each reason counted
-- (`other_reason` says which other one). What is left stands in the marts:
-- int_reconciliation_by_entity sees whether it does. Nothing is subtracted here: a row that fits no
-- reason shall be missed.
{# Lists of which no row stands in a mart of its own, and why. #}
{% set not_modelled = {
    'account': 'settings of the account',
    'catalogs': 'lists of products and others',
    'custom_fields': 'descriptions: leads name their fields',
    'custom_field_enums': 'descriptions: leads name their values',
    'tags': 'leads name their tags',
    'unsorted': 'what is accepted is a lead',
    'deleted_leads': 'marks of deleted leads',
} %}

with deals as (
    select * from {{ ref('int_amocrm__deals') }}
),

notes as (
    select * from {{ ref('stg_amocrm__notes') }}
),

call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
),

events as (
    select * from {{ ref('stg_amocrm__events') }}
),

moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
    where not is_after_cut
),

connections as (
    select * from {{ ref('int_connections') }}
),

tasks as (
    select * from {{ ref('int_amocrm__tasks') }}
),

messages as (
    select * from {{ ref('int_amocrm__messages') }}
),

contacts as (
    select * from {{ ref('stg_amocrm__contacts') }}
),

companies as (
    select * from {{ ref('stg_amocrm__companies') }}
),

dictionary_records as (
    select * from {{ ref('int_amocrm__dictionary_records') }}
),

deal_counts as (
    select
        source_key,
        'leads' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from deals
    group by source_key
),

placed_notes as (
    select
        notes.source_key,
        case notes.entity_type
            when 'leads' then 'lead_notes'
            when 'contacts' then 'contact_notes'
            else 'company_notes'
        end as entity,
        notes.note_type in ('call_in', 'call_out') as is_call,
        messages.record_id is not null as is_message,
        coalesce(messages.is_after_cut, false) as is_waiting,
        call_rows.note_id,
        call_rows.is_representative
    from notes
    left join call_rows
        on notes.source_key = call_rows.source_key
        and notes.entity_type = call_rows.entity_type
        and notes.note_id = call_rows.note_id
    left join messages
        on notes.source_key = messages.source_key
        and notes.entity_type || '/' || notes.note_id = messages.record_id
),

call_counts as (
    select
        source_key,
        entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (where (is_call and note_id is null) or is_waiting) as waiting_count,
        count(*) filter (where not is_representative) as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where not is_call and not is_message) as other_count
    from placed_notes
    group by source_key, entity
),

placed_events as (
    select
        events.source_key,
        events.event_type = 'lead_status_changed' as is_change,
        events.event_type in ('incoming_chat_message', 'outgoing_chat_message') as is_message,
        moves.event_id is not null as is_move,
        events.created_at > connections.as_of_at or events.created_at > events.received_at
            as is_waiting,
        coalesce(deals.is_counted, false) as is_counted
    from events
    inner join connections
        on events.source_key = connections.source_key
    left join moves
        on events.source_key = moves.source_key
        and events.event_id = moves.event_id
    left join deals
        on moves.source_key = deals.source_key
        and moves.lead_id = deals.deal_id
),

event_counts as (
    select
        source_key,
        'events' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (where (is_change or is_message) and is_waiting) as waiting_count,
        -- Artefacts of synchronisation: the same stage before and after.
        count(*) filter (where is_change and not is_waiting and not is_move) as merged_count,
        count(*) filter (where is_move and not is_counted) as orphan_count,
        count(*) filter (where not is_change and not is_message) as other_count
    from placed_events
    group by source_key
),

task_counts as (
    select
        source_key,
        'tasks' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from tasks
    group by source_key
),

contact_counts as (
    select
        source_key,
        'contacts' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from contacts
    group by source_key
),

company_counts as (
    select
        source_key,
        'companies' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from companies
    group by source_key
),

dictionary_counts as (
    select
        source_key,
        entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where dimension is null) as other_count
    from dictionary_records
    group by source_key, entity
),

{% for entity in not_modelled %}
{{ entity }}_counts as (
    select
        source_key,
        '{{ entity }}' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) as other_count
    from {{ ref('stg_amocrm__' ~ entity) }}
    group by source_key
),

{% endfor %}
counted as (
    select * from deal_counts
    union all
    select * from task_counts
    union all
    select * from call_counts
    union all
    select * from event_counts
    union all
    select * from contact_counts
    union all
    select * from company_counts
    union all
    select * from dictionary_counts
    {% for entity in not_modelled %}
    union all
    select * from {{ entity }}_counts
    {% endfor %}
)

select
    source_key,
    entity,
    'raw_amocrm.' || case
        when entity in ('lead_notes', 'contact_notes', 'company_notes') then 'notes' else entity
    end as raw_table,
    rows_held,
    deleted_count,
    template_count,
    waiting_count,
    merged_count,
    orphan_count,
    other_count,
    case
        when other_count = 0 then null
        {% for entity, reason in not_modelled.items() %}
        when entity = '{{ entity }}' then '{{ reason }}'
        {% endfor %}
        when entity = 'events' then 'events that are neither moves nor messages'
        when entity = 'catalog_elements' then 'bills and suppliers'
        else 'notes that are neither calls nor messages'
    end as other_reason
from counted
