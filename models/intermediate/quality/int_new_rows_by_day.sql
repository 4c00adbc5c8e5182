-- How many rows of each list a local day brought, for connections that had any: what "usual" is
-- judged by (Q15), and the newest record of R23.
{% set lists = {
    'deals': ('fct_deals', 'created_on', 'created_at', 'source_key', 'true'),
    'leads': ('fct_leads', 'created_on', 'created_at', 'source_key', 'true'),
    'tasks': ('fct_tasks', 'created_on', 'created_at', 'source_key', 'true'),
    'stage_history': ('fct_stage_visits', 'entered_on', 'entered_at', 'source_key',
        'not is_inferred'),
    'calls': ('fct_calls', 'started_on', 'started_at', 'source_key', 'call_id is not null'),
    'telephony_calls': ('fct_calls', 'started_on', 'started_at', 'pbx_source_key',
        'pbx_call_id is not null'),
    'messages': ('fct_messages', 'sent_on', 'sent_at', 'source_key', 'true'),
    'payments': ('fct_payments', 'paid_on', 'paid_on', 'source_key', 'true'),
} %}
{% for entity, (fact, day, instant, source_key, condition) in lists.items() %}
select
    {{ source_key }} as source_key,
    '{{ entity }}' as entity,
    {{ day }} as date_day,
    count(*) as rows_count,
    max({{ instant }})::timestamp as newest_at
from {{ ref(fact) }}
where {{ condition }}
group by {{ source_key }}, {{ day }}
{{ 'union all' if not loop.last }}
{% endfor %}
