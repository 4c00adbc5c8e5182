{#- The keys of a kind; ids of two kinds may be equal, and then so are their keys. -#}
{% macro affected_keys_of(kind) -%}
    (select key from {{ affected_relation('keys') }} where kind = '{{ kind }}')
{%- endmacro %}

{#- The keys of all cores that affected leaves read. -#}
{% macro wide_keys_of(kind) -%}
    (select key from {{ affected_relation('wide_keys') }} where kind = '{{ kind }}')
{%- endmacro %}

{% macro leaf_kinds_of_keys() -%}
    {{ return([
        'call', 'task', 'message', 'action', 'touch', 'talk_day', 'touched_card', 'call_line',
    ]) }}
{%- endmacro %}

{#- Which kind of keys a column holds; `<column> as <kind>` says it. -#}
{% macro kind_of_column(column) -%}
    {%- if ' as ' in column -%}
        {{ return(column.split(' as ')[-1]) }}
    {%- endif -%}
    {{ return({
        'card_key': 'card', 'deal_key': 'card', 'lead_key': 'card',
        'call_key': 'call', 'pbx_call_key': 'call', 'row_key': 'call',
        'contact_key': 'client', 'contact_client_key': 'client',
        'task_key': 'task', 'message_key': 'message', 'crm_action_key': 'action',
        'touch_key': 'touch', 'talk_day_key': 'talk_day', 'call_line_key': 'call_line',
    }[column]) }}
{%- endmacro %}

{#- The column, or the expression, of `<column> as <kind>`. -#}
{% macro without_kind(column) -%}
    {{ return(column.split(' as ')[0]) }}
{%- endmacro %}

{#- What the last build has made of affected records, under keys of its own; in this order. -#}
{% macro tables_with_own_keys() -%}
    {%- set in_nodes = ' in (select node from ' ~ affected_relation('nodes') ~ ')' -%}
    {{ return([
        {'kind': 'call', 'key': 'pbx_call_key', 'table': 'int_pbx_call_legs',
            'condition': text_node('pbx', 'pbx_call_id') ~ in_nodes},
        {'kind': 'task', 'key': 'task_key', 'table': 'int_tasks',
            'condition': planned_node() ~ in_nodes},
        {'kind': 'message', 'key': 'message_key', 'table': 'int_messages',
            'condition': message_node() ~ in_nodes},
        {'kind': 'record', 'key': 'comment_key', 'table': 'int_comments',
            'condition': card_node() ~ in_nodes},
        {'kind': 'record', 'key': hash_key(['card_key', 'changed_at', 'coalesce(employee_key, 0)']),
            'table': 'int_card_changes', 'condition': card_node() ~ in_nodes},
        {'kind': 'record', 'key': 'deadline_move_key', 'table': 'int_deadline_moves',
            'condition': 'task_key in ' ~ affected_keys_of('task')},
        {'kind': 'action', 'key': 'crm_action_key', 'table': 'int_crm_actions',
            'condition': 'card_key in ' ~ affected_keys_of('card')
                ~ ' or record_key in ' ~ affected_keys_of('task')
                ~ ' or record_key in ' ~ affected_keys_of('message')
                ~ ' or record_key in ' ~ affected_keys_of('record')},
    ]) }}
{%- endmacro %}

{#- The keys of the affected records, as tables have them, and those of the cores they read. -#}
{% macro gather_keys() -%}
    {%- set keys = affected_relation('keys') -%}
    {%- set wide_keys = affected_relation('wide_keys') -%}
    {%- for record in record_tables() -%}
        {%- for kind, name, parts in [
            ('card', 'raw_bitrix24__deals', ['source_key', 'id']),
            ('card', 'raw_bitrix24__leads', ['source_key', "'lead'", 'id']),
            ('card', 'raw_amocrm__leads', ['source_key', 'id']),
            ('client', 'raw_bitrix24__contacts', ['source_key', "'contact'", 'id']),
            ('client', 'raw_amocrm__contacts', ['source_key', "'contact'", 'id']),
            ('call', 'raw_bitrix24__calls', ['source_key', 'id']),
            ('call', 'raw_amocrm__notes', ['source_key', 'id']),
        ] if name == record.name -%}
            {%- do run_query(
                "insert into " ~ keys ~ " select '" ~ kind ~ "', " ~ hash_key(parts) ~ " from "
                ~ affected_relation(name)
            ) -%}
            {%- if kind != 'call' -%}
                {%- do run_query(
                    "insert into " ~ wide_keys ~ " select '" ~ kind ~ "', " ~ hash_key(parts)
                    ~ " from " ~ raw_relation(record) ~ " where " ~ record.node ~ " in (from "
                    ~ affected_relation('wide_nodes') ~ ")"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do run_query(
        "insert into " ~ keys ~ " select 'touch', " ~ hash_key(["'call'", 'key']) ~ " from " ~ keys
        ~ " where kind = 'call'"
    ) -%}
    {#- Tables that tell of a card what its touches say are made of cards as well. -#}
    {%- do run_query(
        "insert into " ~ keys ~ " select 'touched_card', key from " ~ keys ~ " where kind = 'card'"
    ) -%}
    {%- for own in tables_with_own_keys() -%}
        {%- do add_own_keys(own, 'intermediate.' ~ own.table ~ ' where ' ~ own.condition) -%}
    {%- endfor -%}
    {%- set counts = run_query(
        'select kind, count(*) from ' ~ keys
        ~ " where kind in ('card', 'call', 'client') group by kind order by kind"
    ).rows -%}
    {%- set told = [] -%}
    {%- for row in counts -%}{%- do told.append(row[1] ~ ' ' ~ row[0] ~ 's') -%}{%- endfor -%}
    {%- do log(
        'Only what hangs together with changed records is built: '
        ~ (told | join(', ') if told else 'nothing') ~ '.', info=true
    ) -%}
{%- endmacro %}

{#- Keys that a table has made itself: of its rows before, and of those that a build gives it. -#}
{% macro add_own_keys(own, rows) -%}
    {%- set keys = affected_relation('keys') -%}
    {%- do run_query(
        "insert into " ~ keys ~ " select distinct '" ~ own.kind ~ "', " ~ own.key ~ " from " ~ rows
    ) -%}
    {%- if own.kind in ('action', 'call') -%}
        {%- do run_query(
            "insert into " ~ keys ~ " select distinct 'touch', "
            ~ (hash_key(["'call'", own.key]) if own.kind == 'call' else own.key) ~ " from " ~ rows
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#-
    A talker's day, and the calls between a talker and a number in one direction. Of a table whose
    rows are compared with one another by such a key (`read_by`), the keys are affected of which any
    row has really changed; its readers get all rows of these.
-#}
{% macro talk_day_key() -%}
    (hash(talker_employee_key, talk_on) >> 4)::bigint
{%- endmacro %}

{% macro call_line_key() -%}
    (hash(source_key, phone_e164, direction, talker_employee_key) >> 4)::bigint
{%- endmacro %}

{#- Which of these keys have other rows now; before the rows of a table are replaced. -#}
{% macro add_changed_keys(column, rows_now) -%}
    {%- set rows_before = affected_relation(model.name ~ '__before') -%}
    {%- do run_query(
        'create or replace table ' ~ rows_before ~ ' as select * from ' ~ this ~ ' where '
        ~ is_of_keys()
    ) -%}
    {%- do run_query(
        "insert into " ~ affected_relation('keys') ~ " select distinct '" ~ kind_of_column(column)
        ~ "', " ~ without_kind(column) ~ " as key from ((select * from " ~ rows_now
        ~ " except select * from " ~ rows_before ~ ") union all (select * from " ~ rows_before
        ~ " except select * from " ~ rows_now ~ "))"
    ) -%}
    {%- do run_query('drop table ' ~ rows_before) -%}
{%- endmacro %}

{#- The node of planned work: a task, or an activity of Bitrix24. -#}
{% macro planned_node() -%}
    case entity when 'activities' then {{ node('activity', 'record_id') }}
        else {{ node('task', 'record_id') }} end
{%- endmacro %}

{#- The node of a message: an activity of Bitrix24, an event or a note of amoCRM. -#}
{% macro message_node() -%}
    case entity
        when 'activities' then {{ node('activity', 'try_cast(record_id as bigint)') }}
        when 'events' then {{ text_node('event', 'record_id') }}
        else {{ text_node('note', 'record_id') }}
    end
{%- endmacro %}

{#- The node of a contact or a company by type and id. -#}
{% macro client_node() -%}
    case client_type when 'contact' then {{ node('contact', 'client_id') }}
        when 'company' then {{ node('company', 'client_id') }} end
{%- endmacro %}

{#- The node of a card by type and id. -#}
{% macro card_node() -%}
    case card_type when 'lead' then {{ node('lead', 'card_id') }}
        when 'deal' then {{ node('deal', 'card_id') }} end
{%- endmacro %}
