{#- What a person did on a day is made of what is dated on that day. -#}
{% macro parts_of_metric_employee_activity__by_day() -%}
    {%- set facts = {
        'calls': ('fct_calls', 'started_on', [
            'source_key', 'reporting_employee_key', 'started_at', 'direction', 'is_answered',
            'is_successful', 'talk_seconds', 'stage_key',
        ], 'is_external'),
        'actions': ('fct_crm_actions', 'acted_on', [
            'crm_action_key', 'source_key', 'reporting_employee_key', 'acted_at', 'action_type',
            'card_key',
        ], "actor_kind = 'person'"),
        'messages': ('fct_messages', 'sent_on', [
            'source_key', 'reporting_employee_key', 'message_type',
        ], "is_session or direction <> 'inbound'"),
        'touches': ('fct_touches', 'touched_on', ['source_key', 'reporting_employee_key'], 'true'),
        'moves': ('fct_stage_visits', 'entered_on', [
            'stage_visit_key', 'stage_key', 'previous_stage_key',
        ], 'previous_stage_key is not null'),
        'stock': ('fct_open_pipeline', 'stock_on', [
            'source_key', 'pipeline_key', 'reporting_employee_key', 'open_deals_count',
        ], 'true'),
    } -%}
    {%- set made_of = {} -%}
    {%- set touched = [] -%}
    {%- for name, (fact, happened_on, columns, condition) in facts.items() -%}
        {%- do made_of.update({name: {
            'by': [happened_on],
            'rows': 'select ' ~ happened_on ~ ', ' ~ (columns | join(', ')) ~ ' from ' ~ fact
                ~ ' where ' ~ condition,
        }}) -%}
        {%- do touched.append('select ' ~ happened_on ~ ' as part from changed_' ~ name) -%}
    {%- endfor -%}
    {%- do made_of.update({
        'employees': {'rows': 'select employee_key, employee_name, department_name, employee_kind, '
            ~ 'former_from_on from dim_employees'},
        'stages': {'rows': 'select stage_key, pipeline_key, stage_position, stage_semantics, '
            ~ 'is_listed from dim_stages'},
        'pipelines': {'rows': 'select pipeline_key, pipeline_role from dim_pipelines'},
    }) -%}
    {{ return({
        'made_of': made_of,
        'touched': {'days': touched | join(' union all ')},
        'is_touched': of_touched('days', 'active_on'),
    }) }}
{%- endmacro %}
