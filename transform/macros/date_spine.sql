{#- Every date from first to last, one row each. -#}
{% macro date_series(first_date, last_date) -%}
    {{ return(adapter.dispatch('date_series')(first_date, last_date)) }}
{%- endmacro %}

{% macro default__date_series(first_date, last_date) -%}
    unnest(generate_series({{ first_date }}::timestamp, {{ last_date }}::timestamp, interval 1 day))
{%- endmacro %}
