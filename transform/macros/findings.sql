{#-
    What a finding's sentence tells, by the names that stand in braces in `finding_sentences`; the
    register says it in the company's language.
-#}
{% macro facts(values) -%}
    {{ return(adapter.dispatch('facts')(values)) }}
{%- endmacro %}

{% macro default__facts(values) -%}
    map {
        {%- for name, value in values.items() %}
        '{{ name }}': ({{ value }})::varchar{{ ',' if not loop.last }}
        {%- endfor %}
    }
{%- endmacro %}

{#- A sentence with every name in braces replaced by what `told` (a column of `facts`) says. -#}
{% macro filled_sentence(sentence, told) -%}
    {{ return(adapter.dispatch('filled_sentence')(sentence, told)) }}
{%- endmacro %}

{% macro default__filled_sentence(sentence, told) -%}
    list_reduce(
        list_prepend({'key': '', 'value': {{ sentence }}}, map_entries({{ told }})),
        lambda filled, fact: {
            'key': '',
            'value': replace(filled.value, '{' || fact.key || '}', coalesce(fact.value, ''))
        }
    ).value
{%- endmacro %}

{#-
    How a finding names a call: a call that only the telephony has by the telephony's id, which may
    be that of another call in the CRM or in another telephony.
-#}
{% macro shown_call_id() -%}
    coalesce(call_id::varchar, pbx_call_id || ' (' || pbx_source_key || ')')
{%- endmacro %}

{#- `facts` that were kept as a text of JSON. -#}
{% macro facts_of_text(text) -%}
    {{ return(adapter.dispatch('facts_of_text')(text)) }}
{%- endmacro %}

{% macro default__facts_of_text(text) -%}
    ({{ text }})::json::map(varchar, varchar)
{%- endmacro %}
