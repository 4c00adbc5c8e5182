-- Every record that was received and could be read, by entity: what a quarantined row is looked for
-- in.
{{ config(materialized='view') }}
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

with smart_items as (
    select * from {{ ref('stg_bitrix24__smart_items') }}
),

timeline_comments as (
    select * from {{ ref('stg_bitrix24__timeline_comments') }}
)

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
