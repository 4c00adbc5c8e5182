{#- The columns together identify a row; returns the combinations that don't. -#}
{% test is_unique_together(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as rows_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
