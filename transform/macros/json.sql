{#- One text value of a JSON object by its key; null where the key is missing. -#}
{% macro json_text(column, key_column) -%}
    {{ return(adapter.dispatch('json_text')(column, key_column)) }}
{%- endmacro %}

{% macro default__json_text(column, key_column) -%}
    json_extract_string({{ column }}, '$."' || {{ key_column }} || '"')
{%- endmacro %}

{#- The VALUEs of a Bitrix24 multiple field such as PHONE, as a list of texts. -#}
{% macro multiple_field_values(column) -%}
    {{ return(adapter.dispatch('multiple_field_values')(column)) }}
{%- endmacro %}

{% macro default__multiple_field_values(column) -%}
    json_extract_string({{ column }}, '$[*].VALUE')
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

{#- The elements of a JSON list, as rows. -#}
{% macro unnest_json_elements(column) -%}
    {{ return(adapter.dispatch('unnest_json_elements')(column)) }}
{%- endmacro %}

{% macro default__unnest_json_elements(column) -%}
    unnest(json_extract({{ column }}, '$[*]'))
{%- endmacro %}

{#- The text at a path; null where there is none. -#}
{% macro json_path_text(column, path) -%}
    {{ return(adapter.dispatch('json_path_text')(column, path)) }}
{%- endmacro %}

{% macro default__json_path_text(column, path) -%}
    json_extract_string({{ column }}, '{{ path }}')
{%- endmacro %}

{#- The whole number at a path; null where there is none. -#}
{% macro json_path_integer(column, path) -%}
    try_cast({{ json_path_text(column, path) }} as bigint)
{%- endmacro %}

{#- The values of an amoCRM custom field as one text. -#}
{% macro json_joined_values(field) -%}
    {{ return(adapter.dispatch('json_joined_values')(field)) }}
{%- endmacro %}

{% macro default__json_joined_values(field) -%}
    nullif(array_to_string(json_extract_string({{ field }}, '$.values[*].value'), ', '), '')
{%- endmacro %}

{#- The values of the amoCRM custom field with a code, as a list of texts. -#}
{% macro field_values(column, code) -%}
    {{ return(adapter.dispatch('field_values')(column, code)) }}
{%- endmacro %}

{% macro default__field_values(column, code) -%}
    flatten(list_transform(
        list_filter(
            json_extract({{ column }}, '$[*]'),
            lambda field: json_extract_string(field, '$.field_code') = '{{ code }}'
        ),
        lambda field: json_extract_string(field, '$.values[*].value')
    ))
{%- endmacro %}

{#- The first value of the amoCRM custom field with a code; null where there is none. -#}
{% macro first_field_value(column, code) -%}
    {{ return(adapter.dispatch('first_field_value')(column, code)) }}
{%- endmacro %}

{% macro default__first_field_value(column, code) -%}
    {{ field_values(column, code) }}[1]
{%- endmacro %}

{#- The elements of a list, as rows. -#}
{% macro unnest_list(column) -%}
    {{ return(adapter.dispatch('unnest_list')(column)) }}
{%- endmacro %}

{% macro default__unnest_list(column) -%}
    unnest({{ column }})
{%- endmacro %}

{#- The id of the element of a JSON list that is the main one, else of the first. -#}
{% macro json_main_id(column) -%}
    {{ return(adapter.dispatch('json_main_id')(column)) }}
{%- endmacro %}

{% macro default__json_main_id(column) -%}
    coalesce(
        try_cast(
            json_extract_string(
                list_filter(
                    json_extract({{ column }}, '$[*]'),
                    lambda element: json_extract_string(element, '$.is_main') = 'true'
                )[1],
                '$.id'
            ) as bigint
        ),
        {{ json_path_integer(column, '$[0].id') }}
    )
{%- endmacro %}

{#- Aggregates keys and values to a JSON object, keys in order: the same rows, the same text. -#}
{% macro json_object_of(key, value) -%}
    {{ return(adapter.dispatch('json_object_of')(key, value)) }}
{%- endmacro %}

{% macro default__json_object_of(key, value) -%}
    (
        '{' || string_agg(
            to_json({{ key }})::varchar || ':' || to_json({{ value }})::varchar, ','
            order by {{ key }}
        ) || '}'
    )::json
{%- endmacro %}
