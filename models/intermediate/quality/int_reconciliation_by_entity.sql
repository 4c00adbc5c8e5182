-- Reported, raw and marts side by side, per connection and entity of its last load (Q5, R23).
-- Whatever raw holds of it stands in a mart, or in the model that carries it, or is counted by the
-- reason why not.
-- Unexplained at the source = reported − (raw − deleted) − quarantined; unexplained in the marts =
-- held in raw − every counted reason for leaving a row out − rows in the marts. What can't be
-- compared with the source has not passed: its state says so.
{% set dimensions = {
    'dim_employees': 'employee_key',
    'dim_departments': 'department_key',
    'dim_pipelines': 'pipeline_key',
    'dim_stages': 'stage_key',
    'dim_sources': 'lead_source_key',
    'dim_products': 'product_key',
    'dim_loss_reasons': 'loss_reason_key',
} %}
{% set lists_of_one_system = {
    'deal_products': 'product_rows',
    'deadline_moves': 'task_history',
    'payments': 'invoices',
    'comments': 'timeline_comments',
    'activity_bindings': 'activity_bindings',
    'field_options': 'custom_field_options',
} %}

with load_log as (
    select * from {{ ref('int_load_log') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

counts as (
    select * from {{ ref('int_bitrix24__row_counts') }}
    union all
    select * from {{ ref('int_amocrm__row_counts') }}
    union all
    select * from {{ ref('int_telephony__row_counts') }}
),

-- Deals, messages and calls are counted below the marts, where their list is known: tests hold that
-- the marts have as many rows.Joining ten million calls to see it took longer than all the rest.
deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

tasks as (
    select * from {{ ref('fct_tasks') }}
),

messages as (
    select * from {{ ref('int_messages') }}
),

calls as (
    select * from {{ ref('int_calls_unified') }}
),

entries as (
    select * from {{ ref('int_stage_entries') }}
    where is_recorded
),

dictionary_records as (
    select * from {{ ref('int_bitrix24__dictionary_records') }}
    union all
    select * from {{ ref('int_amocrm__dictionary_records') }}
),

dimension_rows as (
    {% for dimension, key in dimensions.items() %}
    select
        '{{ dimension }}' as dimension,
        {{ key }} as record_key
    from {{ ref(dimension) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

clients as (
    select * from {{ ref('dim_clients') }}
),

deal_products as (
    select * from {{ ref('fct_deal_products') }}
),

deadline_moves as (
    select * from {{ ref('fct_deadline_moves') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

comments as (
    select * from {{ ref('int_comments') }}
),

activity_bindings as (
    select * from {{ ref('int_bitrix24__activity_bindings') }}
),

field_options as (
    select * from {{ ref('int_custom_field_options') }}
),

-- Rows that stand in marts, by the list they came from: one list may feed several facts.
mart_rows as (
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from deals
    group by source_key, entity
    union all
    select
        source_key,
        'leads' as entity,
        count(*) as rows_in_marts
    from leads
    group by source_key
    union all
    select
        origin_source_key as source_key,
        entity,
        count(*) as rows_in_marts
    from calls
    group by origin_source_key, entity
    union all
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from entries
    group by source_key, entity
    union all
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from tasks
    group by source_key, entity
    union all
    select
        source_key,
        entity,
        count(*) as rows_in_marts
    from messages
    group by source_key, entity
    union all
    select
        dictionary_records.source_key,
        dictionary_records.entity,
        count(*) as rows_in_marts
    from dictionary_records
    inner join dimension_rows
        on dictionary_records.dimension = dimension_rows.dimension
        and dictionary_records.record_key = dimension_rows.record_key
    group by dictionary_records.source_key, dictionary_records.entity
    union all
    -- Of clients that are only named nobody knows whether they are deleted.
    select
        source_key,
        case client_type when 'contact' then 'contacts' else 'companies' end as entity,
        count(*) as rows_in_marts
    from clients
    where is_deleted is not null
    group by source_key, client_type
    union all
    -- What one system lists apart the other tells in a list that is counted above: its rows meet no
    -- entity of this name.
    {% for table, entity in lists_of_one_system.items() %}
    select
        source_key,
        '{{ entity }}' as entity,
        count(*) as rows_in_marts
    from {{ table }}
    {% if table == 'deadline_moves' %}where not is_lower_bound{% endif %}
    {% if table == 'payments' %}where payment_basis = 'invoice'{% endif %}
    group by source_key
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

marts as (
    select
        source_key,
        entity,
        sum(rows_in_marts) as rows_in_marts
    from mart_rows
    group by source_key, entity
),

latest as (
    select
        load_log.*,
        -- Nothing to compare: the system refused the entity, or has no count of it.
        case
            when load_log.problem is not null or load_log.rows_reported is null then 0
            else
                load_log.rows_reported
                - (load_log.rows_raw - load_log.rows_deleted)
                - load_log.rows_quarantined
        end as unexplained_source_count
    from load_log
    inner join connections
        on load_log.source_key = connections.source_key
        and load_log.cut_at = connections.as_of_at
)

select
    latest.source_key,
    latest.entity,
    latest.cut_at,
    latest.rows_reported,
    latest.rows_received,
    latest.rows_quarantined,
    latest.rows_raw,
    latest.rows_deleted,
    latest.rows_fewer,
    latest.owners_pending,
    latest.owners_inferred,
    latest.complete_up_to_at,
    latest.problem,
    case
        when latest.problem is not null or latest.rows_reported is null then 'cannot_be_checked'
        when latest.unexplained_source_count = 0 then 'passed'
        else 'failed'
    end as source_check_state,
    latest.unexplained_source_count,
    counts.deleted_count,
    counts.template_count,
    counts.waiting_count,
    counts.merged_count,
    counts.orphan_count,
    counts.other_count,
    counts.other_reason,
    counts.rows_held,
    case
        when counts.rows_held is not null then coalesce(marts.rows_in_marts, 0)
    end as rows_in_marts,
    coalesce(
        counts.rows_held - counts.deleted_count - counts.template_count - counts.waiting_count
        - counts.merged_count - counts.orphan_count - counts.other_count
        - coalesce(marts.rows_in_marts, 0),
        0
    ) as unexplained_marts_count
from latest
left join counts
    on latest.source_key = counts.source_key
    and latest.entity = counts.entity
left join marts
    on latest.source_key = marts.source_key
    and latest.entity = marts.entity
