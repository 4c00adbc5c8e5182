{#- The schema of what a build of affected keys needs; nothing of it is read by people. -#}
{% macro affected_relation(name) -%}
    {{ return(api.Relation.create(
        database=target.database, schema='affected', identifier=name, type='table'
    )) }}
{%- endmacro %}

{% macro raw_relation(record) -%}
    {{ return(api.Relation.create(
        database=target.database, schema=record.schema, identifier=record.table
    )) }}
{%- endmacro %}

{% macro node_relation(node) -%}
    {{ return(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias or node.name
    )) }}
{%- endmacro %}

{% macro node_of(unique_id) -%}
    {{ return(graph.sources[unique_id] if unique_id.startswith('source.')
        else graph.nodes[unique_id]) }}
{%- endmacro %}

{#-
    Whether a parent exists twice: whole, and as the rows of the affected keys only. So do the raw
    tables of records, tables built by affected keys, and views above either.
-#}
{% macro has_twin(unique_id) -%}
    {%- if unique_id.startswith('source.') -%}
        {%- set node = graph.sources[unique_id] -%}
        {{ return(node.identifier in record_table_names().get(node.schema, [])) }}
    {%- elif not unique_id.startswith('model.') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set node = graph.nodes[unique_id] -%}
    {%- if node.config.materialized == 'affected_keys' -%}
        {{ return(true) }}
    {%- elif node.config.materialized != 'view' -%}
        {{ return(false) }}
    {%- endif -%}
    {%- for parent in node.depends_on.nodes -%}
        {%- if has_twin(parent) -%}
            {{ return(true) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{#- A model's SQL (or compiled Python) over the twins of its parents. -#}
{% macro over_twins(code, parents) -%}
    {%- set ns = namespace(code=code) -%}
    {%- for unique_id in parents -%}
        {%- if has_twin(unique_id) -%}
            {%- set node = node_of(unique_id) -%}
            {%- set is_source = unique_id.startswith('source.') -%}
            {%- set whole = api.Relation.create(
                database=node.database, schema=node.schema,
                identifier=node.identifier if is_source else node.alias
            ) -%}
            {%- set twin = affected_relation(
                node.schema ~ '__' ~ node.identifier if is_source else node.name
            ) -%}
            {%- set ns.code = ns.code | replace(whole | string, twin | string) -%}
            {%- set ns.code = ns.code | replace(
                (whole | string) | replace('"', '\\"'), (twin | string) | replace('"', '\\"')
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ns.code) }}
{%- endmacro %}

{#- Parents that a model built by affected keys reads whole. -#}
{% macro context_parents(parents) -%}
    {%- set found = [] -%}
    {%- for unique_id in parents -%}
        {%- if not has_twin(unique_id) -%}
            {%- do found.append(unique_id) -%}
        {%- elif unique_id.startswith('model.')
            and graph.nodes[unique_id].config.materialized == 'view' -%}
            {%- do found.extend(context_parents(graph.nodes[unique_id].depends_on.nodes)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}

{#- Tables built by affected keys that a model reads, through views. -#}
{% macro table_parents(parents) -%}
    {%- set found = [] -%}
    {%- for unique_id in parents if unique_id.startswith('model.') -%}
        {%- set node = graph.nodes[unique_id] -%}
        {%- if node.config.materialized == 'affected_keys' -%}
            {%- do found.append(node.name) -%}
        {%- elif node.config.materialized == 'view' -%}
            {%- do found.append(node.name) -%}
            {%- do found.extend(table_parents(node.depends_on.nodes)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}
