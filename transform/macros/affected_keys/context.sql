{#-
    Context: what a model built by affected keys reads whole (dictionaries, people, rules, days).
    Where it differs from what the last complete build has read, the model is built whole, since
    any of its rows may be concerned. `meta.context` of the parent says what counts:
    columns: only these; only_known: compare rows that both have, by these columns, because no row
    of a fact names what was not there; key: rows of affected cards may differ; false: it never
    matters, because begin_affected_keys follows its changes.
-#}
{% macro context_settings(unique_id) -%}
    {%- set meta = node_of(unique_id).config.get('meta', {}) or {} -%}
    {%- set settings = meta.get('context', {}) -%}
    {{ return(settings) }}
{%- endmacro %}

{#- Columns of a context that are compared. When something was last seen or received is no change. -#}
{% macro context_columns(relation, settings) -%}
    {%- if settings.get('columns') -%}
        {{ return(settings['columns'] + (settings.get('only_known') or [])) }}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- if column.name not in ('received_at', 'last_seen_at') -%}
            {%- do columns.append(column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro context_name(unique_id) -%}
    {{ return('context_' ~ node_of(unique_id).name) }}
{%- endmacro %}

{#- Keeps what this build has read of a context, for the next one to compare with. -#}
{% macro keep_context(unique_id) -%}
    {%- set settings = context_settings(unique_id) -%}
    {%- if settings is not sameas false -%}
        {%- set relation = node_relation(node_of(unique_id)) -%}
        {%- set columns = context_columns(relation, settings) | unique | join(', ') -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation(context_name(unique_id))
            ~ ' as select ' ~ ('distinct ' if settings.get('distinct')) ~ columns
            ~ ' from ' ~ relation
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- Whether a context differs from what the last complete build has read; asked once in a build. -#}
{% macro has_context_changed(unique_id) -%}
    {%- set settings = context_settings(unique_id) -%}
    {%- if settings is sameas false -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set name = node_of(unique_id).name -%}
    {%- set contexts = affected_relation('contexts') -%}
    {%- set known = run_query(
        "select has_changed from " ~ contexts ~ " where context_name = '" ~ name ~ "'"
    ) -%}
    {%- if known.rows | length -%}
        {{ return(known.rows[0][0]) }}
    {%- endif -%}
    {%- set relation = node_relation(node_of(unique_id)) -%}
    {%- set kept = affected_relation(context_name(unique_id)) -%}
    {%- set columns = context_columns(relation, settings) | unique | list -%}
    {%- set kept_columns = [] -%}
    {%- if load_relation(kept) -%}
        {%- for column in adapter.get_columns_in_relation(kept) -%}
            {%- do kept_columns.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if columns | sort != kept_columns | sort -%}
        {%- set has_changed = true -%}
    {%- else -%}
        {%- set names = columns | join(', ') -%}
        {%- set now = 'select ' ~ ('distinct ' if settings.get('distinct')) ~ names
            ~ ' from ' ~ relation -%}
        {%- set then = 'select ' ~ names ~ ' from ' ~ kept -%}
        {%- set differing = '((' ~ now ~ ') except all (' ~ then ~ ')) union all (('
            ~ then ~ ') except all (' ~ now ~ '))' -%}
        {%- set conditions = [] -%}
        {%- if settings.get('only_known') -%}
            {%- set known_columns = settings['only_known'] | join(', ') -%}
            {%- do conditions.append(
                '(' ~ known_columns ~ ') in (select (' ~ known_columns ~ ') from (' ~ now ~ '))'
            ) -%}
            {%- do conditions.append(
                '(' ~ known_columns ~ ') in (select (' ~ known_columns ~ ') from (' ~ then ~ '))'
            ) -%}
        {%- endif -%}
        {%- if settings.get('key') -%}
            {%- do conditions.append(
                settings['key'] ~ ' not in ' ~ affected_keys_of(kind_of_column(settings['key']))
            ) -%}
        {%- endif -%}
        {%- set has_changed = run_query(
            'select count(*) > 0 from (' ~ differing ~ ') as differing'
            ~ (' where ' ~ (conditions | join(' and ')) if conditions else '')
        ).rows[0][0] -%}
    {%- endif -%}
    {%- do run_query(
        "insert into " ~ contexts ~ " values ('" ~ name ~ "', " ~ has_changed ~ ")"
    ) -%}
    {{ return(has_changed) }}
{%- endmacro %}
