{#-
    Views and tables made under their own name, in one transaction with what they replace. dbt's own
    way, another name first and then two renames, serves databases that others read meanwhile; a
    warehouse of callfunnel has one user at a time, and a fifth of a small company's build went
    into renaming.
-#}
{% materialization view, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do drop_unless(target_relation) -%}
    {%- call statement('main') -%}
        create or replace view {{ target_relation }} as (
            {{ compiled_code }}
        )
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {%- do tell_shape(target_relation) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- if model['language'] == 'python' -%}
        {#- Python has a connection of its own, which sees only what is committed. -#}
        {%- do drop_unless(none) -%}
        {{ adapter.commit() }}
        {%- call statement('main', language='python') -%}
            {{ py_write_table(
                temporary=False, relation=target_relation, compiled_code=compiled_code
            ) }}
        {%- endcall -%}
        {%- do tell_shape(target_relation) -%}
        {{ return({'relations': [target_relation]}) }}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do drop_unless(none) -%}
    {%- call statement('main') -%}
        {{ create_table_as(False, target_relation, compiled_code) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {%- do tell_shape(target_relation) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- Drops what stands under the model's name, unless it is of that relation's type. -#}
{% macro drop_unless(kept) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and (kept is none or existing.type != kept.type) -%}
        {%- call statement('drop_existing') -%}
            drop {{ existing.type }} {{ existing }}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{#-
    Tells Dagster the columns of a table or view that no contract lists: in a log for machines, in
    the form that dagster-dbt reads.
-#}
{% macro tell_columns(relation) -%}
    {%- if execute and flags.LOG_FORMAT == 'json' and not config.get('contract').enforced -%}
        {%- set columns = {} -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do columns.update({column.name: {
                'data_type': column.dtype,
                'description': model.columns.get(column.name, {}).get('description'),
            }}) -%}
        {%- endfor -%}
        {%- do log(tojson({'columns': columns}), info=true) -%}
    {%- endif -%}
{%- endmacro %}

{#- Tells the run's log what a table or view has: its columns, and how many rows a table has. -#}
{% macro tell_shape(relation, built_count=none) -%}
    {%- do tell_columns(relation) -%}
    {%- if relation.type == 'table' -%}
        {%- set rows_count = run_query('select count(*) from ' ~ relation).rows[0][0] | int -%}
        {%- do store_raw_result(
            name='main', code='OK', rows_affected=rows_count,
            message=('' if built_count is none else '{:,} of '.format(built_count))
                ~ '{:,} rows'.format(rows_count)
        ) -%}
    {%- endif -%}
{%- endmacro %}
