{#-
    Leave a trace of every build in the warehouse: the gate's verdict belongs to one numbered build,
    and publishing refuses any other (also after a bare dbt build). A build is unfinished
    (failures_count is null) until its end, so that a killed one can't be published; a build of a
    selection inherits the failures of the build before it until a full one succeeds.
-#}
{% macro begin_build() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- do run_query('create schema if not exists raw_derived') -%}
        {%- do run_query(
            'create table if not exists raw_derived.builds ('
            'build_number bigint, invocation_id varchar, command varchar, failures_count bigint)'
        ) -%}
        {%- do run_query(
            "insert into raw_derived.builds "
            "select coalesce(max(build_number), 0) + 1, '" ~ invocation_id ~ "', '"
            ~ flags.WHICH ~ "', null from raw_derived.builds"
        ) -%}
        {%- if flags.WHICH in ('build', 'run') -%}
            {%- do keep_forecasts() -%}
            {%- do keep_findings() -%}
            {%- do begin_affected_keys() -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro finish_build(results) -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set failed = results | selectattr('status', 'in', ['error', 'fail', 'skipped']) | list -%}
        {%- set known = graph.nodes.values()
            | selectattr('resource_type', 'in', ['model', 'seed', 'test']) | list -%}
        {#- Saved queries are results too, of which nothing is built. -#}
        {%- set built = results
            | selectattr('node.resource_type', 'in', ['model', 'seed', 'test']) | list -%}
        {%- set is_full = flags.WHICH == 'build' and built | length >= known | length -%}
        {%- set inherited = '0' if is_full else
            "coalesce((select failures_count from raw_derived.builds as earlier "
            "where earlier.build_number = builds.build_number - 1), "
            "case when builds.build_number = 1 then 0 else 1 end)" -%}
        {%- do run_query(
            "update raw_derived.builds set failures_count = " ~ failed | length ~ " + " ~ inherited
            ~ " where invocation_id = '" ~ invocation_id ~ "'"
        ) -%}
        {%- if flags.WHICH in ('build', 'run') -%}
            {%- do finish_affected_keys(results) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
