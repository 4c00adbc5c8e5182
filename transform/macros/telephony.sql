{#- The providers of telephony, in the order of sources/connection.py. -#}
{% macro telephony_providers() -%}
    {{ return([
        'asterisk', 'mango', 'uis', 'megafon', 'zadarma', 'binotel', 'ringostat', 'generic',
    ]) }}
{%- endmacro %}

{#- The lists that are read of each provider, and the staging view of each. -#}
{% macro telephony_lists() -%}
    {{ return([
        {'model': 'stg_asterisk__cdr', 'entity': 'cdr'},
        {'model': 'stg_mango__calls', 'entity': 'calls'},
        {'model': 'stg_uis__calls', 'entity': 'calls'},
        {'model': 'stg_uis__call_legs', 'entity': 'call_legs'},
        {'model': 'stg_megafon__calls', 'entity': 'calls'},
        {'model': 'stg_zadarma__calls', 'entity': 'calls'},
        {'model': 'stg_binotel__calls', 'entity': 'calls'},
        {'model': 'stg_ringostat__calls', 'entity': 'calls'},
        {'model': 'stg_generic__calls', 'entity': 'calls'},
    ]) }}
{%- endmacro %}
