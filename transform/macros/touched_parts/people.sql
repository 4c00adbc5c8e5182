{#- Of a touched person or connection every day. -#}
{% macro of_touched_activity(happened_on) -%}
    (
        {{ of_touched('days', part_key(['source_key', happened_on])) }}
        or {{ of_touched('employees', 'reporting_employee_key') }}
        or {{ of_touched('sources', 'source_key') }}
    )
{%- endmacro %}

{#- What people did on a day of a connection is made of what is dated on that day. -#}
{% macro parts_of_metric_employee_activity__by_day() -%}
    {%- set facts = {
        'calls': ('fct_calls', 'started_on', [
            'reporting_employee_key', 'started_at', 'direction', 'is_answered', 'is_successful',
            'talk_seconds', 'stage_key',
        ], 'is_external'),
        'actions': ('fct_crm_actions', 'acted_on', [
            'crm_action_key', 'reporting_employee_key', 'acted_at', 'action_type', 'card_key',
        ], "actor_kind = 'person'"),
        'messages': ('fct_messages', 'sent_on', [
            'reporting_employee_key', 'message_type',
        ], "is_session or direction <> 'inbound'"),
        'touches': ('fct_touches', 'touched_on', ['reporting_employee_key'], 'true'),
        'moves': ('fct_stage_visits', 'entered_on', [
            'stage_visit_key', 'stage_key', 'previous_stage_key',
        ], 'previous_stage_key is not null'),
        'stock': ('fct_open_pipeline', 'stock_on', [
            'pipeline_key', 'reporting_employee_key', 'open_deals_count',
        ], 'true'),
    } -%}
    {%- set made_of = {} -%}
    {%- set touched = [] -%}
    {%- for name, (fact, happened_on, columns, condition) in facts.items() -%}
        {%- do made_of.update({name: {
            'by': ['source_key', happened_on],
            'rows': 'select source_key, ' ~ happened_on ~ ', ' ~ (columns | join(', '))
                ~ ' from ' ~ fact ~ ' where ' ~ condition,
        }}) -%}
        {%- do touched.append(
            'select ' ~ part_key(['source_key', happened_on]) ~ ' as part from changed_' ~ name
        ) -%}
    {%- endfor -%}
    {%- set employees -%}
        select employee_key, employee_name, department_name, employee_kind, former_from_on
        from dim_employees
    {%- endset -%}
    {%- set sources -%}
        select
            source_key,
            {{ part_key([
                'stage_key', 'pipeline_key', 'stage_position', 'stage_semantics', 'is_listed',
            ]) }} as said
        from dim_stages
        union all
        select source_key, {{ part_key(['pipeline_key', 'pipeline_role']) }}
        from dim_pipelines
    {%- endset -%}
    {%- do made_of.update({
        'employees': {'by': ['employee_key'], 'rows': employees},
        'sources': {'by': ['source_key'], 'rows': sources},
    }) -%}
    {%- set touched_days = touched | join(' union all ') -%}
    {#- Moves are found by the action that they were: they tell no person. -#}
    {%- set touched_moves -%}
        {{ touched_days }}
        union all
        select {{ part_key(['source_key', 'entered_on']) }}
        from fct_stage_visits
        where
            exists (select 1 from changed_employees)
            or exists (select 1 from changed_sources)
    {%- endset -%}
    {{ return({
        'made_of': made_of,
        'touched': {
            'days': touched_days,
            'employees': 'select employee_key as part from changed_employees',
            'sources': 'select source_key as part from changed_sources',
            'moves': touched_moves,
        },
        'is_touched': of_touched_activity('active_on'),
    }) }}
{%- endmacro %}
