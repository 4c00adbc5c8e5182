{#- Leads stand in a pipeline of their own, to which no system gives an id. -#}
{% macro leads_pipeline_id() -%} -1::bigint {%- endmacro %}

{#- Key of the row of dim_cards that stands for no card. -#}
{% macro no_card_key() -%} 0::bigint {%- endmacro %}

{#- The key of the card that a record names by kind and id; null where it names none. -#}
{% macro card_key(card_type, card_id) -%}
    case
        when {{ card_id }} is null then null
        when {{ card_type }} = 'lead' then {{ hash_key(['source_key', "'lead'", card_id]) }}
        when {{ card_type }} = 'deal' then {{ hash_key(['source_key', card_id]) }}
    end
{%- endmacro %}

{#-
    The key of a card's UTM tags; null where it names none of the three. A length before each text
    keeps texts apart from their neighbours (they may hold any separator) and from null.
-#}
{% macro utm_key(cards) -%}
    {%- set tags = ['utm_source', 'utm_medium', 'utm_campaign'] -%}
    {%- set parts = [cards ~ '.source_key', "'utm'"] -%}
    {%- for tag in tags -%}
        {%- set text = cards ~ '.' ~ tag -%}
        {%- do parts.append("coalesce(length(" ~ text ~ ") || ':' || " ~ text ~ ", '-')") -%}
    {%- endfor -%}
    case
        when
            {% for tag in tags -%}
            {{ cards }}.{{ tag }} <> ''{{ ' or ' if not loop.last }}
            {%- endfor %}
            then {{ hash_key(parts) }}
    end
{%- endmacro %}

{#- Whether a role is among those of a stage (dim_stages.stage_roles: names between commas). -#}
{% macro has_role(stage_roles, role) -%}
    contains(',' || {{ stage_roles }} || ',', ',{{ role }},')
{%- endmacro %}
