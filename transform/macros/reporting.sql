{#- Keys of the rows of dim_employees that are no person. -#}
{% macro former_employees_key() -%} -1::bigint {%- endmacro %}
{% macro nobody_key() -%} -2::bigint {%- endmacro %}
{% macro shared_line_key() -%} -3::bigint {%- endmacro %}

{#-
    Whom reports name for what an account did on a day: former employees from the day on which the
    person is one, else the person behind the account. `employees` is dim_employees, left-joined on
    the account's key.
-#}
{% macro reporting_key(employees, happened_on, account_key) -%}
    case
        when {{ employees }}.former_from_on <= {{ happened_on }} then {{ former_employees_key() }}
        else coalesce({{ employees }}.person_key, {{ account_key }}, {{ nobody_key() }})
    end
{%- endmacro %}

{#- An employee in a list of names: the id tells two people of one name apart. -#}
{% macro employee_label(employees) -%}
    case
        when {{ employees }}.employee_kind in ('person', 'system')
            then {{ employees }}.employee_name || ' [' || {{ employees }}.employee_id || ']'
        else {{ employees }}.employee_name
    end
{%- endmacro %}
