-- What the newest load of each list says of itself, and what became of its rows (R23).
{% set lists = {
    'bitrix24': {
        'deals': 'deals', 'leads': 'leads', 'tasks': 'tasks', 'calls': 'calls',
        'stage_history': 'stage_history',
    },
    'amocrm': {'leads': 'deals', 'tasks': 'tasks', 'events': 'stage_history', 'notes': 'calls'},
} %}

with reconciliation as (
    select * from {{ ref('int_reconciliation_by_entity') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_configured
),

new_rows as (
    select
        source_key,
        entity,
        min(date_day) as complete_from_on,
        max(newest_at) as newest_record_at
    from {{ ref('int_new_rows_by_day') }}
    group by source_key, entity
),

listed as (
    select
        reconciliation.*,
        connections.as_of_at as connection_as_of_at,
        case
            {% for system, entities in lists.items() %}
            {% for entity, rows in entities.items() %}
            when
                split_part(reconciliation.source_key, ':', 1) = '{{ system }}'
                and reconciliation.entity = '{{ entity }}'
                then '{{ rows }}'
            {% endfor %}
            {% endfor %}
            when not connections.is_crm then 'telephony_calls'
        end as new_rows_entity
    from reconciliation
    inner join connections
        on reconciliation.source_key = connections.source_key
)

select
    {{ hash_key(["'reconciliation'", 'listed.source_key', 'listed.entity']) }}
        as reconciliation_key,
    listed.source_key,
    listed.entity as list_name,
    listed.cut_at as last_load_at,
    listed.connection_as_of_at,
    new_rows.newest_record_at,
    new_rows.complete_from_on,
    listed.complete_up_to_at,
    listed.rows_reported as reported_rows_count,
    listed.rows_received as received_rows_count,
    listed.rows_held as raw_rows_count,
    listed.rows_in_marts::bigint as mart_rows_count,
    listed.deleted_count as deleted_rows_count,
    listed.template_count as template_rows_count,
    listed.merged_count as merged_rows_count,
    listed.orphan_count as orphan_rows_count,
    listed.waiting_count as waiting_rows_count,
    listed.other_count as other_rows_count,
    listed.other_reason,
    listed.rows_quarantined as quarantined_rows_count,
    listed.unexplained_source_count as unexplained_source_rows_count,
    listed.unexplained_marts_count::bigint as unexplained_mart_rows_count,
    listed.source_check_state,
    listed.problem
from listed
left join new_rows
    on listed.source_key = new_rows.source_key
    and listed.new_rows_entity = new_rows.entity
