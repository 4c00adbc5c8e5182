{#- Every day in each of the periods that it belongs to. `dates` is dim_dates. -#}
{% macro days_of_periods(dates) -%}
    {% for period_type, column in {
        'day': 'date_day', 'week': 'week_start_on', 'month': 'month_start_on',
        'quarter': 'quarter_start_on', 'year': 'year_start_on',
    }.items() -%}
    select
        '{{ period_type }}' as period_type,
        {{ column }} as starts_on,
        date_day
    from {{ dates }}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
{%- endmacro %}
