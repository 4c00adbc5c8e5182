{#- One text value of a JSON object by its key; null where the key is missing. -#}
{% macro json_text(column, key_column) -%}
    {{ return(adapter.dispatch('json_text')(column, key_column)) }}
{%- endmacro %}

{% macro default__json_text(column, key_column) -%}
    json_extract_string({{ column }}, '$."' || {{ key_column }} || '"')
{%- endmacro %}

{#- The VALUEs of a Bitrix24 multiple field such as PHONE, as rows. -#}
{% macro unnest_multiple_field(column) -%}
    {{ return(adapter.dispatch('unnest_multiple_field')(column)) }}
{%- endmacro %}

{% macro default__unnest_multiple_field(column) -%}
    unnest(json_extract_string({{ column }}, '$[*].VALUE'))
{%- endmacro %}

{#- The first element of a JSON list of integers. -#}
{% macro json_first_integer(column) -%}
    {{ return(adapter.dispatch('json_first_integer')(column)) }}
{%- endmacro %}

{% macro default__json_first_integer(column) -%}
    try_cast(json_extract_string({{ column }}, '$[0]') as bigint)
{%- endmacro %}

{#- The keys of a JSON object, as rows. -#}
{% macro unnest_json_keys(column) -%}
    {{ return(adapter.dispatch('unnest_json_keys')(column)) }}
{%- endmacro %}

{% macro default__unnest_json_keys(column) -%}
    unnest(json_keys({{ column }}))
{%- endmacro %}
