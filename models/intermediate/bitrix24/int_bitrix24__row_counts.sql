-- What raw holds, list by list, and how much of it does not count, each reason counted
-- (`other_reason` says which other one). What is left stands in the marts:
-- int_reconciliation_by_entity sees whether it does. Nothing is subtracted here: a row that fits no
-- reason shall be missed.
{# Lists of which no row stands in a mart of its own, and why. #}
{% set not_modelled = {
    'currencies': 'currencies in use are those of cards and rates',
    'custom_fields': 'descriptions: cards name their fields',
    'invoice_stage_history': 'dates payments',
} %}

with deals as (
    select * from {{ ref('int_bitrix24__deals') }}
),

calls as (
    select * from {{ ref('stg_bitrix24__calls') }}
),

call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
),

leads as (
    select * from {{ ref('int_bitrix24__leads') }}
),

history as (
    select * from {{ ref('int_bitrix24__card_history') }}
),

tasks as (
    select * from {{ ref('int_bitrix24__tasks') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

messages as (
    select * from {{ ref('int_bitrix24__messages') }}
),

activities as (
    select * from {{ ref('int_bitrix24__activity_kinds') }}
),

contacts as (
    select * from {{ ref('stg_bitrix24__contacts') }}
),

companies as (
    select * from {{ ref('stg_bitrix24__companies') }}
),

dictionary_records as (
    select * from {{ ref('int_bitrix24__dictionary_records') }}
),

options as (
    select * from {{ ref('stg_bitrix24__custom_field_options') }}
),

product_rows as (
    select * from {{ ref('stg_bitrix24__product_rows') }}
),

activity_bindings as (
    select * from {{ ref('stg_bitrix24__activity_bindings') }}
),

timeline_comments as (
    select * from {{ ref('stg_bitrix24__timeline_comments') }}
),

task_history as (
    select * from {{ ref('stg_bitrix24__task_history') }}
),

reads as (
    select * from {{ ref('stg_bitrix24__detail_reads') }}
),

invoices as (
    select * from {{ ref('int_bitrix24__invoices') }}
),

smart_items as (
    select * from {{ ref('stg_bitrix24__smart_items') }}
),

cards as (
    select
        'deal' as card_type,
        source_key,
        deal_id as card_id,
        is_counted
    from deals
    union all
    select
        'lead' as card_type,
        source_key,
        lead_id as card_id,
        is_counted
    from leads
),

lead_counts as (
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
    from leads
    group by source_key
),

deal_counts as (
    select
        source_key,
        'deals' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        count(*) filter (where is_template and not is_deleted) as template_count,
        count(*) filter (where is_after_cut and not is_deleted and not is_template)
            as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from deals
    group by source_key
),

merged_calls as (
    select
        source_key,
        count(*) as merged_count
    from call_rows
    where call_id <> representative_id
    group by source_key
),

placed_calls as (
    select
        calls.source_key,
        count(*) as rows_held,
        count(*) filter (
            where
            calls.started_at > connections.as_of_at or calls.started_at > calls.received_at
        ) as waiting_count
    from calls
    inner join connections
        on calls.source_key = connections.source_key
    group by calls.source_key
),

call_counts as (
    select
        placed_calls.source_key,
        'calls' as entity,
        placed_calls.rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        placed_calls.waiting_count,
        coalesce(merged_calls.merged_count, 0) as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from placed_calls
    left join merged_calls
        on placed_calls.source_key = merged_calls.source_key
),

history_counts as (
    select
        history.source_key,
        history.entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (
            where cards.is_counted
            and (
                history.entered_at > connections.as_of_at
                or history.entered_at > history.received_at
            )
        ) as waiting_count,
        0::bigint as merged_count,
        -- History of cards that don't count: deleted, templates, after the cut.
        count(*) filter (where cards.card_id is null or not cards.is_counted) as orphan_count,
        0::bigint as other_count
    from history
    inner join connections
        on history.source_key = connections.source_key
    left join cards
        on history.source_key = cards.source_key
        and history.card_type = cards.card_type
        and history.card_id = cards.card_id
    group by history.source_key, history.entity
),

task_counts as (
    select
        source_key,
        entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from tasks
    where entity = 'tasks'
    group by source_key, entity
),

-- Activities are planned work, messages, or mirrors of calls and tasks that count elsewhere.
activity_rows as (
    select
        source_key,
        is_deleted,
        is_after_cut,
        false as is_mirror
    from tasks
    where entity = 'activities'
    union all
    select
        source_key,
        is_deleted,
        is_after_cut,
        false as is_mirror
    from messages
    union all
    select
        source_key,
        false as is_deleted,
        false as is_after_cut,
        true as is_mirror
    from activities
    where activity_kind in ('call', 'task', 'other')
),

activity_counts as (
    select
        source_key,
        'activities' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_after_cut and not is_deleted) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where is_mirror) as other_count
    from activity_rows
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

-- An option stands once, also where a field of deals and one of leads have the same name.
option_counts as (
    select
        source_key,
        'custom_field_options' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        count(*) filter (where entity_type in ('deal', 'lead'))
        - count(
            distinct case
                when entity_type in ('deal', 'lead') then custom_field || '|' || option_id
            end
        ) as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where entity_type not in ('deal', 'lead')) as other_count
    from options
    group by source_key
),

-- A row that the last reading of its card no longer showed has left it.
product_row_counts as (
    select
        product_rows.source_key,
        'product_rows' as entity,
        count(*) as rows_held,
        count(*) filter (
            where product_rows.card_type_code = 'D' and product_rows.received_at < reads.read_at
        ) as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        count(*) filter (
            where
            product_rows.card_type_code = 'D'
            and product_rows.received_at >= reads.read_at
            and not coalesce(cards.is_counted, false)
        ) as orphan_count,
        count(*) filter (where product_rows.card_type_code <> 'D') as other_count
    from product_rows
    left join reads
        on product_rows.source_key = reads.source_key
        and reads.entity = 'product_rows'
        and reads.detail_owner_type = 'deal'
        and product_rows.card_id = reads.detail_owner_id
    left join cards
        on product_rows.source_key = cards.source_key
        and cards.card_type = 'deal'
        and product_rows.card_id = cards.card_id
    group by product_rows.source_key
),

binding_counts as (
    select
        activity_bindings.source_key,
        'activity_bindings' as entity,
        count(*) as rows_held,
        count(*) filter (where activity_bindings.received_at < reads.read_at) as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        0::bigint as other_count
    from activity_bindings
    left join reads
        on activity_bindings.source_key = reads.source_key
        and reads.entity = 'activity_bindings'
        and reads.detail_owner_type = 'activity'
        and activity_bindings.activity_id = reads.detail_owner_id
    group by activity_bindings.source_key
),

comment_counts as (
    select
        timeline_comments.source_key,
        'timeline_comments' as entity,
        count(*) as rows_held,
        count(*) filter (
            where
            timeline_comments.card_type in ('deal', 'lead')
            and timeline_comments.received_at < reads.read_at
        ) as deleted_count,
        0::bigint as template_count,
        count(*) filter (
            where
            timeline_comments.card_type in ('deal', 'lead')
            and timeline_comments.received_at >= reads.read_at
            and timeline_comments.created_at > connections.as_of_at
        ) as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) filter (where timeline_comments.card_type not in ('deal', 'lead')) as other_count
    from timeline_comments
    inner join connections
        on timeline_comments.source_key = connections.source_key
    left join reads
        on timeline_comments.source_key = reads.source_key
        and reads.entity = 'timeline_comments'
        and timeline_comments.card_type = reads.detail_owner_type
        and timeline_comments.card_id = reads.detail_owner_id
    group by timeline_comments.source_key
),

-- Of what happened to tasks only moved deadlines count; a first deadline is no move.
placed_task_history as (
    select
        task_history.source_key,
        coalesce(
            task_history.changed_field = 'DEADLINE'
            and try_cast(task_history.value_from as bigint) > 0
            and try_cast(task_history.value_to as bigint) > 0
            and try_cast(task_history.value_from as bigint)
            <> try_cast(task_history.value_to as bigint),
            false
        ) as is_move,
        task_history.changed_at > connections.as_of_at as is_after_cut,
        coalesce(tasks.is_counted, false) as is_counted
    from task_history
    inner join connections
        on task_history.source_key = connections.source_key
    left join tasks
        on task_history.source_key = tasks.source_key
        and tasks.entity = 'tasks'
        and task_history.task_id = tasks.record_id
),

task_history_counts as (
    select
        source_key,
        'task_history' as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_move and is_after_cut) as waiting_count,
        0::bigint as merged_count,
        count(*) filter (where is_move and not is_after_cut and not is_counted) as orphan_count,
        count(*) filter (where not is_move) as other_count
    from placed_task_history
    group by source_key
),

placed_invoices as (
    select
        invoices.source_key,
        invoices.is_deleted,
        invoices.is_paid,
        invoices.is_before_cut,
        invoices.deal_id is null or coalesce(cards.is_counted, false) as is_counted
    from invoices
    left join cards
        on invoices.source_key = cards.source_key
        and cards.card_type = 'deal'
        and invoices.deal_id = cards.card_id
),

invoice_counts as (
    select
        source_key,
        'invoices' as entity,
        count(*) as rows_held,
        count(*) filter (where is_deleted) as deleted_count,
        0::bigint as template_count,
        count(*) filter (where is_paid and not is_deleted and not is_before_cut) as waiting_count,
        0::bigint as merged_count,
        count(*) filter (
            where is_paid and not is_deleted and is_before_cut and not is_counted
        ) as orphan_count,
        count(*) filter (where not is_paid and not is_deleted) as other_count
    from placed_invoices
    group by source_key
),

smart_item_counts as (
    select
        source_key,
        'smart_items_' || entity_type_id as entity,
        count(*) as rows_held,
        0::bigint as deleted_count,
        0::bigint as template_count,
        0::bigint as waiting_count,
        0::bigint as merged_count,
        0::bigint as orphan_count,
        count(*) as other_count
    from smart_items
    group by source_key, entity_type_id
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
    from {{ ref('stg_bitrix24__' ~ entity) }}
    group by source_key
),

{% endfor %}
counted as (
    select * from deal_counts
    union all
    select * from lead_counts
    union all
    select * from history_counts
    union all
    select * from call_counts
    union all
    select * from activity_counts
    union all
    select * from task_counts
    union all
    select * from contact_counts
    union all
    select * from company_counts
    union all
    select * from dictionary_counts
    union all
    select * from option_counts
    union all
    select * from product_row_counts
    union all
    select * from binding_counts
    union all
    select * from comment_counts
    union all
    select * from task_history_counts
    union all
    select * from invoice_counts
    union all
    select * from smart_item_counts
    {% for entity in not_modelled %}
    union all
    select * from {{ entity }}_counts
    {% endfor %}
)

select
    source_key,
    entity,
    'raw_bitrix24.' || case
        when entity like 'smart\_items\_%' escape '\' then 'smart_items' else entity
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
        when entity = 'activities' then 'calls and tasks that have rows of their own'
        when entity = 'categories' then 'pipelines of invoices and smart processes'
        when entity = 'statuses' then 'neither stages of deals and leads nor sources'
        when entity = 'custom_field_options' then 'fields of neither deals nor leads'
        when entity = 'product_rows' then 'rows of other cards than deals'
        when entity = 'timeline_comments' then 'comments on neither deals nor leads'
        when entity = 'task_history' then 'changes that move no deadline'
        when entity = 'invoices' then 'not paid'
        else 'smart processes are not modelled'
    end as other_reason
from counted
