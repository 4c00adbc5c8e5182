{#- Leads stand in a pipeline of their own, to which no system gives an id. -#}
{% macro leads_pipeline_id() -%} -1::bigint {%- endmacro %}
