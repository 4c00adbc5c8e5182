{#-
    A table of which a build replaces only the parts (days, periods of a slice, cards) that what it
    is made of has changed in. The macro `parts_of_<model>` says, over the model's parents by name:
    made_of: queries; rows of a query are compared in groups of the columns `by` with what the
        table was made of. A query without `by` holds for the whole table: if it gives anything
        else, the table is built whole;
    touched: queries over the groups that differ, `changed_<name>`: keys of parts to build anew;
    is_touched: which rows of the table belong to these parts.
    The model's SQL reads only rows for which `of_touched` holds, and all rows in a whole build.
    What a table was made of is remembered beside it: no build before has to be complete, and no
    one has to say who touches what. A part whose rows come out the same is left as it is.
-#}
{% materialization touched_parts, adapter='duckdb' %}
    {%- set parts = context['parts_of_' ~ model.name]() -%}
    {%- set fingerprint = local_md5(
        model.name ~ compiled_code ~ (parts | string) ~ model.get('contract')
        ~ run_query('select version()').rows[0][0]
    ) -%}
    {%- set state = affected_relation('parts') -%}
    {%- set reason = namespace(text='', is_told=true) -%}
    {%- if should_full_refresh() or not load_relation(this) -%}
        {%- set reason.text = 'all' -%}
        {%- set reason.is_told = false -%}
    {%- elif run_query(
        "select count(*) from " ~ state ~ " where model_name = '" ~ model.name
        ~ "' and fingerprint = '" ~ fingerprint ~ "'"
    ).rows[0][0] == 0 -%}
        {%- set reason.text = 'its SQL, or a macro in it, has changed.' -%}
    {%- endif -%}
    {#- A build that is killed leaves a table of which nobody knows what it is made of. -#}
    {%- do run_query("delete from " ~ state ~ " where model_name = '" ~ model.name ~ "'") -%}
    {%- do adapter.commit() -%}
    {%- set compared = [] -%}
    {%- for name, made_of in parts.made_of.items() -%}
        {%- set now = parts_relation(name if reason.text else name ~ '__now') -%}
        {%- do run_query('create or replace table ' ~ now ~ ' as ' ~ groups_of_rows(made_of)) -%}
        {%- if not reason.text -%}
            {%- do compared.append(name) -%}
            {%- set changed = parts_relation('changed_' ~ name) -%}
            {%- do run_query(
                'create or replace table ' ~ changed ~ ' as select * exclude (sign) from ('
                ~ 'select *, 1 as sign from ' ~ now ~ ' union all select *, -1 as sign from '
                ~ parts_relation(name) ~ ') group by all having sum(sign) <> 0'
            ) -%}
            {%- if not made_of.by and run_query('select count(*) from ' ~ changed).rows[0][0] -%}
                {%- set reason.text = name ~ ' has changed, which any of its rows may be concerned by.' -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if reason.text != '' -%}
        {%- if reason.is_told -%}
            {%- do log(model.name ~ ' is built whole: ' ~ reason.text, info=true) -%}
        {%- endif -%}
        {%- set built = materialization_table_duckdb() -%}
    {%- else -%}
        {{ run_hooks(pre_hooks, inside_transaction=False) }}
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {%- set built_count = replace_touched_parts(parts) -%}
        {%- do persist_docs(this, model) -%}
        {%- do tell_shape(this.incorporate(type='table'), built_count | int) -%}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {{ adapter.commit() }}
        {{ run_hooks(post_hooks, inside_transaction=False) }}
        {%- set built = {'relations': [this]} -%}
    {%- endif -%}
    {%- for name in compared -%}
        {%- do run_query('drop table ' ~ parts_relation(name)) -%}
        {%- do run_query(
            'alter table ' ~ parts_relation(name ~ '__now') ~ ' rename to '
            ~ parts_relation(name).identifier
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        "insert into " ~ state ~ " values ('" ~ model.name ~ "', '" ~ fingerprint ~ "')"
    ) -%}
    {%- do adapter.commit() -%}
    {{ return(built) }}
{% endmaterialization %}

{#- Deletes the rows of all touched parts and inserts what the model's SQL gives for them. -#}
{% macro replace_touched_parts(parts) -%}
    {%- for name, query in parts.touched.items() -%}
        {%- do run_query(
            'create or replace table ' ~ parts_relation('touched_' ~ name)
            ~ ' as select distinct part from (' ~ over_parents(query, parts) ~ ')'
        ) -%}
    {%- endfor -%}
    {%- set rows_of_parts = parts_relation('rows') -%}
    {%- set code = only_touched(compiled_code) -%}
    {%- set is_touched = only_touched(parts.is_touched) -%}
    {%- call statement('rows_of_parts') -%}
        create or replace table {{ rows_of_parts }} as
        select * from ({{ code }}) where {{ is_touched }}
    {%- endcall -%}
    {%- call statement('delete_rows_of_parts') -%}
        delete from {{ this }} where {{ is_touched }}
    {%- endcall -%}
    {%- call statement('main') -%}
        insert into {{ this }} by name select * from {{ rows_of_parts }}
    {%- endcall -%}
    {%- set built_count = run_query('select count(*) from ' ~ rows_of_parts).rows[0][0] -%}
    {%- do run_query('drop table ' ~ rows_of_parts) -%}
    {{ return(built_count) }}
{%- endmacro %}

{#- Tables of one model in the schema `affected`. -#}
{% macro parts_relation(name) -%}
    {{ return(affected_relation(model.name ~ '__' ~ name)) }}
{%- endmacro %}

{#- A query over the model's parents, and over its groups that differ, by their names. -#}
{% macro over_parents(query, parts=none) -%}
    {%- set imports = [] -%}
    {%- for unique_id in model.depends_on.nodes -%}
        {%- set node = node_of(unique_id) -%}
        {%- do imports.append(node.name ~ ' as (select * from ' ~ node_relation(node) ~ ')') -%}
    {%- endfor -%}
    {%- for name, made_of in (parts.made_of.items() if parts else []) if made_of.by -%}
        {%- do imports.append(
            'changed_' ~ name ~ ' as (select * from ' ~ parts_relation('changed_' ~ name) ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return('with ' ~ (imports | join(', ')) ~ ' ' ~ query) }}
{%- endmacro %}

{#- How many rows a group has and what they say: sums of hashes, of which the order is no matter. -#}
{% macro groups_of_rows(made_of) -%}
    {%- set by = made_of.by | join(', ') if made_of.by else '' -%}
    {{ return(
        'select ' ~ (by ~ ', ' if by) ~ 'count(*) as rows_count, '
        ~ 'sum(hash(one_row)) as rows_hash from (' ~ over_parents(made_of.rows) ~ ') as one_row'
        ~ (' group by ' ~ by if by)
    ) }}
{%- endmacro %}

{#- Holds for all rows in a whole build, else for rows with a key among those touched. -#}
{% macro of_touched(name, key) -%}
    true /* {{ key }} in touched {{ name }} */
{%- endmacro %}

{% macro only_touched(code) -%}
    {{ return(modules.re.sub(
        '(?s)true /[*] (.+?) in touched (\\w+) [*]/',
        '(\\1 in (select part from ' ~ (parts_relation('touched_') | string)[:-1] ~ '\\2"))',
        code
    )) }}
{%- endmacro %}

{#- Several columns as one key of parts. -#}
{% macro part_key(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}
