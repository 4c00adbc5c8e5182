{#-
    Keeps what the last build forecast, before this one replaces it: one forecast for each day, the
    first that was made on it. Written before the models run, so that a table of models never reads
    what it writes.
-#}
{% macro keep_forecasts() -%}
    {%- do run_query(
        'create table if not exists raw_derived.forecasts ('
        'source_key varchar, made_on date, made_at timestamptz, period_type varchar, '
        'starts_on date, ends_on date, pipeline_key bigint, reporting_employee_key bigint, '
        'won_count bigint, won_amount decimal(18, 2), expected_deals_count bigint, '
        'expected_count double, expected_amount decimal(18, 2))'
    ) -%}
    {%- set forecast = load_relation(api.Relation.create(
        database=target.database, schema='metrics', identifier='metric_forecast__by_period'
    )) -%}
    {%- if forecast is not none -%}
        {%- do run_query(
            'insert into raw_derived.forecasts '
            'select source_key, made_on, timezone(\'UTC\', made_at), period_type, starts_on, '
            'ends_on, pipeline_key, reporting_employee_key, won_count, won_amount, '
            'expected_deals_count, expected_count, expected_amount '
            'from ' ~ forecast ~ ' where (source_key, made_on) not in '
            '(select (source_key, made_on) from raw_derived.forecasts)'
        ) -%}
    {%- endif -%}
{%- endmacro %}
