{#- Keys of the rows of dim_employees that are no person. -#}
{% macro former_employees_key() -%} -1::bigint {%- endmacro %}
{% macro nobody_key() -%} -2::bigint {%- endmacro %}
{% macro shared_line_key() -%} -3::bigint {%- endmacro %}
