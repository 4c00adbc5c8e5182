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

{#- Whether a table built by affected keys holds leaves: calls, planned work, messages, touches. -#}
{% macro is_leaf_model(node) -%}
    {%- if node.config.get('affected_by') -%}
        {{ return(kind_of_column(node.config.affected_by[0]) in leaf_kinds_of_keys()) }}
    {%- endif -%}
    {{ return('| ' ~ leaf_bit() in node.config.affected_nodes) }}
{%- endmacro %}

{#-
    Whether a parent exists a third time: as the rows of all cores that affected leaves read, though
    most of them are not affected themselves. Tables of leaves have none.
-#}
{% macro has_wide_twin(unique_id) -%}
    {%- if not has_twin(unique_id) -%}
        {{ return(false) }}
    {%- elif unique_id.startswith('source.') -%}
        {%- set node = graph.sources[unique_id] -%}
        {{ return(node.identifier not in leaf_table_names().get(node.schema, [])) }}
    {%- endif -%}
    {%- set node = graph.nodes[unique_id] -%}
    {%- if node.config.materialized == 'affected_keys' -%}
        {{ return(not is_leaf_model(node)) }}
    {%- endif -%}
    {%- for parent in node.depends_on.nodes -%}
        {%- if has_wide_twin(parent) -%}
            {{ return(true) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{#- The parents of tables of leaves that need a wide twin, through views; asked once in a build. -#}
{% macro wide_twins() -%}
    {%- set found = {} -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.config.materialized == 'affected_keys'
        and is_leaf_model(node) -%}
        {%- do add_wide_parents(node, found) -%}
    {%- endfor -%}
    {{ return(found.values() | list) }}
{%- endmacro %}

{% macro add_wide_parents(node, found) -%}
    {%- for unique_id in node.depends_on.nodes
        if unique_id not in found and has_wide_twin(unique_id) -%}
        {%- do found.update({unique_id: twin_name(unique_id)}) -%}
        {%- if unique_id.startswith('model.') and graph.nodes[unique_id].config.materialized == 'view' -%}
            {%- do add_wide_parents(graph.nodes[unique_id], found) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro twin_name(unique_id) -%}
    {%- set node = node_of(unique_id) -%}
    {{ return(
        node.schema ~ '__' ~ node.identifier if unique_id.startswith('source.') else node.name
    ) }}
{%- endmacro %}

{% macro wide_relation(name) -%}
    {{ return(affected_relation('wide__' ~ name)) }}
{%- endmacro %}

{#-
    A model's SQL (or compiled Python) over the twins of its parents; that of leaves, and of what
    they read through views, over the wide ones.
-#}
{% macro over_twins(code, parents, is_wide) -%}
    {%- set ns = namespace(code=code) -%}
    {%- for unique_id in parents -%}
        {%- if has_twin(unique_id) -%}
            {%- set node = node_of(unique_id) -%}
            {%- set is_source = unique_id.startswith('source.') -%}
            {%- set whole = api.Relation.create(
                database=node.database, schema=node.schema,
                identifier=node.identifier if is_source else node.alias
            ) -%}
            {%- set twin = wide_relation(twin_name(unique_id))
                if is_wide and has_wide_twin(unique_id)
                else affected_relation(twin_name(unique_id)) -%}
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
