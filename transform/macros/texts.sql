{#- A text without white space at its ends; trim() leaves line breaks and hard spaces. -#}
{% macro stripped(text) -%}
    regexp_replace({{ text }}, '^[\s\x{00A0}]+|[\s\x{00A0}]+$', '', 'g')
{%- endmacro %}
