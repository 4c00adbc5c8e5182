{#- No join has dropped or multiplied rows: both tables have the same number. -#}
{% test has_as_many_rows_as(model, to) %}
with counts as (
    select
        (select count(*) from {{ model }}) as rows_count,
        (select count(*) from {{ to }}) as expected_count
)

select * from counts
where rows_count <> expected_count
{% endtest %}
