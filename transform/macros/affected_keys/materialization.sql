{#-
    A table of which a build replaces the rows of the affected keys only: every row of those keys is
    deleted, and what the model's SQL gives for them is inserted, also if that is nothing. The SQL
    is the same as of a whole build; it runs over the twins of its parents, which hold the rows of
    the affected keys (begin_affected_keys says which they are). A table of leaves reads wide twins
    of cores, and may then give rows of other keys as well: these are left out.
    Config: affected_by, columns that hold affected keys (any of them), or affected_nodes, an
    expression that gives a row's node; is_linked, of models whose SQL says what raw rows name;
    read_by, a column by which the readers compare a row with rows of other keys. Where a column's
    name does not tell the kind of its keys, `<column> as <kind>` does.
    Built whole: at the first build, with --full-refresh, alone (--select), where its SQL has
    changed, where a parent was built whole, where something that it reads whole has changed.
-#}
{% materialization affected_keys, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set language = model['language'] -%}
    {%- set fingerprint = local_md5(
        model.name ~ compiled_code ~ (config.get('affected_by') or [])
        ~ config.get('affected_nodes') ~ model.get('contract')
    ) -%}
    {%- set reason = reason_to_build_whole(fingerprint) -%}
    {%- do run_query(
        "insert into " ~ affected_relation('runs') ~ " values ('" ~ invocation_id ~ "', '"
        ~ model.name ~ "', '" ~ fingerprint ~ "', " ~ (reason != '') ~ ")"
    ) -%}
    {%- set rows_of_keys = affected_relation(model.name) -%}
    {%- if reason != '' -%}
        {%- if reason != 'all' -%}
            {%- do log(model.name ~ ' is built whole: ' ~ reason, info=true) -%}
        {%- endif -%}
        {%- if language == 'python' -%}
            {#- dbt runs Python of the materialization itself only, not of one that it calls. -#}
            {%- do run_query('drop table if exists ' ~ rows_of_keys) -%}
            {%- do adapter.commit() -%}
            {%- call statement('main', language=language) -%}
                {{ py_write_table(
                    temporary=False, relation=rows_of_keys, compiled_code=compiled_code
                ) }}
            {%- endcall -%}
            {%- do run_query('create or replace table ' ~ this ~ ' as from ' ~ rows_of_keys) -%}
            {%- do tell_shape(this.incorporate(type='table')) -%}
            {%- set built = {'relations': [this]} -%}
        {%- else -%}
            {%- set built = materialization_table_duckdb() -%}
        {%- endif -%}
        {#- Twins of views are bound to them. -#}
        {%- for twin in [rows_of_keys] + ([wide_relation(model.name)] if is_read_widely() else []) -%}
            {%- do run_query(
                'create or replace table ' ~ twin ~ ' as select * from ' ~ this ~ ' limit 0'
            ) -%}
        {%- endfor -%}
        {%- if config.get('is_linked') -%}
            {%- do run_query(
                'create or replace view ' ~ affected_relation('links_' ~ model.name) ~ ' as '
                ~ over_twins(compiled_code, model.depends_on.nodes, false)
            ) -%}
        {%- endif -%}
        {{ return(built) }}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- set code = over_twins(compiled_code, model.depends_on.nodes, is_leaf_model(model)) -%}
    {%- set owned = tables_with_own_keys() | selectattr('table', 'equalto', model.name) | list -%}
    {%- set is_affected = owned[0].condition if owned else is_of_keys() -%}
    {%- do run_query('drop table if exists ' ~ rows_of_keys) -%}
    {%- if language == 'python' -%}
        {#- Python has a connection of its own; looking at columns has begun a transaction. -#}
        {%- do adapter.commit() -%}
        {%- call statement('rows_of_keys', language=language) -%}
            {{ py_write_table(temporary=False, relation=rows_of_keys, compiled_code=code) }}
        {%- endcall -%}
        {%- do run_query('delete from ' ~ rows_of_keys ~ ' where not (' ~ is_affected ~ ')') -%}
    {%- else -%}
        {%- call statement('rows_of_keys') -%}
            create table {{ rows_of_keys }} as
            select * from ({{ code }}) where {{ is_affected }}
        {%- endcall -%}
    {%- endif -%}
    {%- for own in owned -%}
        {#- Keys of new rows are known from now on. -#}
        {%- do add_own_keys(own, rows_of_keys) -%}
    {%- endfor -%}
    {%- if config.get('read_by') -%}
        {%- do add_changed_keys(config.get('read_by'), rows_of_keys) -%}
    {%- endif -%}
    {%- call statement('delete_rows_of_keys') -%}
        delete from {{ this }} where {{ is_of_keys() }}
    {%- endcall -%}
    {%- call statement('main') -%}
        insert into {{ this }} by name select * from {{ rows_of_keys }}
    {%- endcall -%}
    {%- if config.get('read_by') -%}
        {%- do run_query(
            'create or replace table ' ~ rows_of_keys ~ ' as select * from ' ~ this ~ ' where '
            ~ is_of_keys() ~ ' or ' ~ without_kind(config.get('read_by')) ~ ' in '
            ~ affected_keys_of(kind_of_column(config.get('read_by')))
        ) -%}
    {%- endif -%}
    {%- if is_read_widely() -%}
        {%- do run_query(
            'create or replace table ' ~ wide_relation(model.name) ~ ' as select * from ' ~ this
            ~ ' where ' ~ is_of_keys(is_wide=true)
        ) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(this, model) -%}
    {%- do tell_shape(this.incorporate(type='table')) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this]}) }}
{% endmaterialization %}

{#- Whether a row of the model is one of the affected keys, or of those that leaves read. -#}
{% macro is_of_keys(is_wide=false) -%}
    {%- set conditions = [] -%}
    {%- for column in config.get('affected_by') or [] -%}
        {%- set kind = kind_of_column(column) -%}
        {%- do conditions.append(
            without_kind(column) ~ ' in '
            ~ (wide_keys_of(kind) if is_wide else affected_keys_of(kind))
        ) -%}
    {%- endfor -%}
    {%- if config.get('affected_nodes') -%}
        {%- do conditions.append(
            config.get('affected_nodes') ~ ' in (from '
            ~ affected_relation('wide_nodes' if is_wide else 'nodes') ~ ')'
        ) -%}
    {%- endif -%}
    {{ return(conditions | join(' or ')) }}
{%- endmacro %}

{% macro is_read_widely() -%}
    {{ return(run_query(
        'select count(*) > 0 from ' ~ affected_relation('wide_twins') ~ " where twin_name = '"
        ~ model.name ~ "'"
    ).rows[0][0]) }}
{%- endmacro %}

{#- Why a model can't be built by affected keys this time; '' if it can, 'all' if no model can. -#}
{% macro reason_to_build_whole(fingerprint) -%}
    {%- set plan = run_query(
        "select is_incremental, last_invocation_id from " ~ affected_relation('plan')
        ~ " where invocation_id = '" ~ invocation_id ~ "'"
    ) -%}
    {%- if not (plan.rows | length and plan.rows[0][0]) or should_full_refresh() -%}
        {{ return('all') }}
    {%- elif not load_relation(this) -%}
        {{ return('there is no table yet.') }}
    {%- endif -%}
    {%- set runs = affected_relation('runs') -%}
    {%- set last = run_query(
        "select fingerprint from " ~ runs ~ " where invocation_id = '" ~ plan.rows[0][1]
        ~ "' and model_name = '" ~ model.name ~ "'"
    ) -%}
    {%- if not last.rows | length or last.rows[0][0] != fingerprint -%}
        {{ return('its SQL, or a macro in it, has changed.') }}
    {%- endif -%}
    {%- set parents = table_parents(model.depends_on.nodes) -%}
    {%- set whole = run_query(
        "select min(model_name) from " ~ runs ~ " where invocation_id = '" ~ invocation_id
        ~ "' and is_whole and model_name in ('" ~ (parents | join("', '")) ~ "')"
    ).rows[0][0] -%}
    {%- if whole is not none -%}
        {{ return(whole ~ ', which it reads, was built whole.') }}
    {%- endif -%}
    {%- for unique_id in context_parents(model.depends_on.nodes) -%}
        {%- if has_context_changed(unique_id) -%}
            {{ return(node_of(unique_id).name ~ ' has changed, which any of its rows may be concerned by.') }}
        {%- endif -%}
    {%- endfor -%}
    {{ return('') }}
{%- endmacro %}

{#- After a view is made: its twin over the rows of the affected keys, and whether it has changed. -#}
{% macro make_twin() -%}
    {%- if execute and model.config.materialized == 'view' and has_twin(model.unique_id) -%}
        {%- set code = model.compiled_code -%}
        {%- do run_query(
            'create or replace view ' ~ affected_relation(model.name) ~ ' as '
            ~ over_twins(code, model.depends_on.nodes, false)
        ) -%}
        {%- if is_read_widely() -%}
            {%- do run_query(
                'create or replace view ' ~ wide_relation(model.name) ~ ' as '
                ~ over_twins(code, model.depends_on.nodes, true)
            ) -%}
        {%- endif -%}
        {%- set fingerprint = local_md5(model.name ~ code) -%}
        {%- set runs = affected_relation('runs') -%}
        {%- do run_query(
            "insert into " ~ runs ~ " select '" ~ invocation_id ~ "', '" ~ model.name ~ "', '"
            ~ fingerprint ~ "', coalesce((select max(runs.fingerprint) from " ~ runs
            ~ " as runs inner join " ~ affected_relation('plan') ~ " as plan "
            ~ "on runs.invocation_id = plan.last_invocation_id where plan.invocation_id = '"
            ~ invocation_id ~ "' and runs.model_name = '" ~ model.name ~ "'), '') <> '"
            ~ fingerprint ~ "'"
        ) -%}
    {%- endif -%}
{%- endmacro %}
