{#-
    Leave a trace of every build in the warehouse: the gate's verdict belongs to one build, and
    publishing refuses any other (also after a bare dbt build).
-#}
{% macro record_build(results) -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set failed = results | selectattr('status', 'in', ['error', 'fail', 'skipped']) | list -%}
        {%- do run_query('create schema if not exists raw_derived') -%}
        {%- do run_query(
            'create table if not exists raw_derived.builds ('
            'build_number bigint, invocation_id varchar, command varchar, failures_count bigint)'
        ) -%}
        {%- do run_query(
            "insert into raw_derived.builds "
            "select coalesce(max(build_number), 0) + 1, '" ~ invocation_id ~ "', '"
            ~ flags.WHICH ~ "', " ~ failed | length ~ " from raw_derived.builds"
        ) -%}
    {%- endif -%}
{%- endmacro %}
