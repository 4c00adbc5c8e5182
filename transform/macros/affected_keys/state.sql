{#-
    What builds remember of one another, in the schema `affected`. A build begins by forgetting that
    the last one was complete, and decides whether it replaces the affected keys only.
-#}
{% macro begin_affected_keys() -%}
    {%- do run_query('create schema if not exists affected') -%}
    {%- for name, columns in {
        'runs': 'invocation_id varchar, model_name varchar, fingerprint varchar, is_whole boolean',
        'state': 'invocation_id varchar, rules varchar',
        'connections': 'source_key varchar, as_of_at timestamp',
        'parts': 'model_name varchar, fingerprint varchar',
    }.items() -%}
        {%- do run_query(
            'create table if not exists ' ~ affected_relation(name) ~ ' (' ~ columns ~ ')'
        ) -%}
    {%- endfor -%}
    {%- for name, columns in {
        'contexts': 'context_name varchar, has_changed boolean',
        'keys': 'kind varchar, key bigint',
        'wide_keys': 'kind varchar, key bigint',
        'nodes': 'node ubigint',
        'wide_nodes': 'node ubigint',
        'seeds': 'node ubigint',
    }.items() -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation(name) ~ ' (' ~ columns ~ ')'
        ) -%}
    {%- endfor -%}
    {%- set last = run_query('select invocation_id, rules from ' ~ affected_relation('state')) -%}
    {#- What is begun is not complete until its end. -#}
    {%- do run_query('delete from ' ~ affected_relation('state')) -%}
    {%- set reason = namespace(text='') -%}
    {%- if not builds_all_models() -%}
        {%- set reason.text = 'only some models are selected' -%}
    {%- elif should_full_refresh() or flags.FULL_REFRESH -%}
        {%- set reason.text = '--full-refresh' -%}
    {%- elif not last.rows | length -%}
        {%- set reason.text = 'no build before it was complete' -%}
    {%- elif last.rows[0][1] != rules_of_affected_keys() -%}
        {%- set reason.text = 'another version of callfunnel or DuckDB has built before' -%}
    {%- endif -%}
    {#- Without all models there may be no wide twins of what the selected ones read. -#}
    {%- set wide_names = wide_twins() if builds_all_models() else [] -%}
    {%- do run_query(
        "create or replace table " ~ affected_relation('wide_twins')
        ~ " as select unnest(['" ~ (wide_names | join("', '")) ~ "']) as twin_name"
    ) -%}
    {%- for record in record_tables() -%}
        {%- set twins = [affected_relation(record.name)] -%}
        {%- if record.name in wide_names -%}
            {%- do twins.append(wide_relation(record.name)) -%}
        {%- endif -%}
        {%- for twin in twins -%}
            {%- do run_query(
                'create or replace table ' ~ twin ~ ' as select * from ' ~ raw_relation(record)
                ~ ' limit 0'
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if reason.text == '' -%}
        {%- set reason.text = find_affected_keys(wide_names) -%}
    {%- endif -%}
    {%- do run_query(
        "create or replace table " ~ affected_relation('plan') ~ " as select '" ~ invocation_id
        ~ "' as invocation_id, " ~ (reason.text == '') ~ " as is_incremental, '"
        ~ (last.rows[0][0] if last.rows | length else '') ~ "' as last_invocation_id, '"
        ~ reason.text | replace("'", "''") ~ "' as reason"
    ) -%}
    {%- if reason.text != '' -%}
        {%- do log('All models are built whole: ' ~ reason.text ~ '.', info=true) -%}
    {%- endif -%}
    {#- Looking at columns has begun a transaction. -#}
    {%- do adapter.commit() -%}
{%- endmacro %}

{#-
    What a kept state depends on besides the data: how nodes are hashed and what they link, and the
    SQL of the tables that find_affected_keys reads as the last build has left them.
-#}
{% macro rules_of_affected_keys() -%}
    {%- set read = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and (
            node.name in tables_with_own_keys() | map(attribute='table') | list
            or node.name == 'int_deals' or node.config.get('is_linked')
        ) -%}
        {%- do read.append(node.raw_code) -%}
    {%- endfor -%}
    {{ return(local_md5(
        run_query('select version()').rows[0][0] ~ (record_tables() | string)
        ~ (tables_with_own_keys() | string) ~ (read | sort | join)
    )) }}
{%- endmacro %}

{#- Models that tables built by affected keys may read; metrics are read by nobody. -#}
{% macro is_below_metrics(node) -%}
    {{ return(
        node.resource_type in ('model', 'seed')
        and node.schema in ('seeds', 'staging', 'intermediate', 'marts')
    ) }}
{%- endmacro %}

{% macro builds_all_models() -%}
    {%- if flags.WHICH not in ('build', 'run') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and is_below_metrics(node)
        and node.unique_id not in selected_resources -%}
        {{ return(false) }}
    {%- endfor -%}
    {{ return(true) }}
{%- endmacro %}

{#- Tables that the load writes itself have no load ids, nor have those of tests. -#}
{% macro is_compared_by_content(record) -%}
    {{ return(
        record.by_content or '_dlt_load_id' not in (
            adapter.get_columns_in_relation(raw_relation(record)) | map(attribute='name') | list
        )
    ) }}
{%- endmacro %}

{#- Of a load that was killed more rows may come under the same id. -#}
{% macro complete_loads(record) -%}
    {%- set loads = api.Relation.create(
        database=target.database, schema=record.schema, identifier='_dlt_loads'
    ) -%}
    {{ return(
        ' where _dlt_load_id in (select load_id from ' ~ loads ~ ' where status = 0)'
        if load_relation(loads) else ''
    ) }}
{%- endmacro %}

{#- A table without load ids, row by row: node and hash of the content. -#}
{% macro contents_of(record) -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(raw_relation(record)) -%}
        {%- if column.name not in ('_dlt_load_id', '_dlt_id', 'line') -%}
            {%- do columns.append(column.quoted) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(
        'select ' ~ record.node ~ ' as node, hash(' ~ (columns | join(', ')) ~ ') as row_hash from '
        ~ raw_relation(record)
    ) }}
{%- endmacro %}

{#- After a complete build: what the next one compares with. -#}
{% macro finish_affected_keys(results) -%}
    {%- if not builds_all_models() -%}
        {{ return('') }}
    {%- endif -%}
    {%- for result in results
        if is_below_metrics(result.node) and result.status != 'success' -%}
        {{ return('') }}
    {%- endfor -%}
    {%- set is_incremental = run_query(
        'select is_incremental from ' ~ affected_relation('plan')
    ).rows[0][0] -%}
    {#- New rows name others by the SQL of legs: where that was read anew, so are all links. -#}
    {%- set names = [] -%}
    {%- for system in leg_models() -%}
        {%- do names.append("'int_" ~ system ~ "__call_legs'") -%}
    {%- endfor -%}
    {%- set legs_are_new = run_query(
        "select count(*) > 0 from " ~ affected_relation('runs') ~ " where invocation_id = '"
        ~ invocation_id ~ "' and is_whole and model_name in (" ~ names | join(', ') ~ ")"
    ).rows[0][0] -%}
    {%- if not is_incremental or legs_are_new -%}
        {%- for name in ['core_links', 'leaf_links', 'children', 'mentions'] -%}
            {%- do run_query(
                'create or replace table ' ~ affected_relation(name) ~ ' (node ubigint, '
                ~ ('mentioned' if name == 'mentions' else 'linked') ~ ' ubigint)'
            ) -%}
        {%- endfor -%}
        {%- do add_links() -%}
    {%- endif -%}
    {%- for record in record_tables() -%}
        {%- set relation = raw_relation(record) -%}
        {%- do run_query(
            'create or replace table ' ~ affected_relation('seen_' ~ record.name) ~ ' as '
            ~ (contents_of(record) if is_compared_by_content(record) else
                'select _dlt_load_id as load_id, (select count(*) from ' ~ relation
                ~ ') as rows_count from ' ~ relation ~ complete_loads(record)
                ~ ' group by _dlt_load_id')
        ) -%}
    {%- endfor -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('seen_currency_rates')
        ~ ' as select currency_code, valid_from_on, rate from staging.stg_company__currency_rates'
    ) -%}
    {%- do run_query(
        'create or replace table ' ~ affected_relation('connections') ~ ' as '
        ~ as_of_by_connection()
    ) -%}
    {%- set contexts = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.config.materialized == 'affected_keys' -%}
        {%- do contexts.extend(context_parents(node.depends_on.nodes)) -%}
    {%- endfor -%}
    {%- for unique_id in contexts | unique -%}
        {%- do keep_context(unique_id) -%}
    {%- endfor -%}
    {%- do run_query(
        "delete from " ~ affected_relation('runs') ~ " where invocation_id <> '" ~ invocation_id
        ~ "'"
    ) -%}
    {%- do run_query(
        "insert into " ~ affected_relation('state') ~ " values ('" ~ invocation_id ~ "', '"
        ~ rules_of_affected_keys() ~ "')"
    ) -%}
    {%- do adapter.commit() -%}
{%- endmacro %}
