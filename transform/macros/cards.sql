{#- Leads stand in a pipeline of their own, to which no system gives an id. -#}
{% macro leads_pipeline_id() -%} -1::bigint {%- endmacro %}

{#- The key of the card that a record names by kind and id; null where it names none. -#}
{% macro card_key(card_type, card_id) -%}
    case
        when {{ card_id }} is null then null
        when {{ card_type }} = 'lead' then {{ hash_key(['source_key', "'lead'", card_id]) }}
        when {{ card_type }} = 'deal' then {{ hash_key(['source_key', card_id]) }}
    end
{%- endmacro %}
