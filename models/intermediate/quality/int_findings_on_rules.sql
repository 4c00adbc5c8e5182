-- Q18, Q19 and what the company's files name and nobody has.
with unknown_in_files as (
    select * from {{ ref('int_unknown_names_in_files') }}
),

sellers as (
    select * from {{ ref('dim_sellers') }}
),

goals as (
    select * from {{ ref('fct_goals') }}
    where goal_for = 'employee'
),

norms as (
    select * from {{ ref('fct_norms') }}
    where norm_for = 'employee'
),

employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind = 'person'
),

as_of as (
    select * from {{ ref('dim_dates') }}
    where is_as_of_day
),

unknown_names as (
    select
        case when file in ('goals.csv', 'norms.csv') then 'Q18' else 'RULES' end as rule_id,
        'file_names_nothing' as finding,
        source_key,
        file as entity,
        -- Not the line: one written above it would end this finding and begin another.
        lacking as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'file': 'file',
            'line': "string_agg(line::varchar, ', ' order by line)",
            'lacking': 'lacking',
        }) }} as facts
    from unknown_in_files
    group by source_key, file, lacking
),

sellers_now as (
    select sellers.*
    from sellers
    cross join as_of
    where sellers.seller_from_on <= as_of.date_day and as_of.date_day < sellers.seller_until_on
),

people_with_goals as (
    select employees.person_key
    from goals
    inner join employees
        on goals.employee_key = employees.employee_key
    cross join as_of
    where
        goals.starts_on = case goals.period_type
            when 'day' then as_of.date_day
            when 'week' then as_of.week_start_on
            when 'month' then as_of.month_start_on
            when 'quarter' then as_of.quarter_start_on
            else as_of.year_start_on
        end
    group by employees.person_key
),

people_with_norms as (
    select employees.person_key
    from norms
    inner join employees
        on norms.employee_key = employees.employee_key
    cross join as_of
    where norms.valid_from_on <= as_of.date_day and as_of.date_day < norms.valid_to_on
    group by employees.person_key
),

-- Where nobody has a goal of their own the company sets none; likewise norms.
q18_sellers_without_target as (
    {% for target in ('goal', 'norm') %}
    select
        'Q18' as rule_id,
        'seller_without_{{ target }}' as finding,
        sellers_now.source_key,
        'employee' as entity,
        employees.employee_id::varchar as record_id,
        sellers_now.employee_key,
        null::varchar as card_url,
        {{ facts({'employee': 'sellers_now.employee_name', 'day': 'as_of.date_day'}) }} as facts
    from sellers_now
    cross join as_of
    inner join employees
        on sellers_now.employee_key = employees.employee_key
    left join people_with_{{ target }}s
        on sellers_now.employee_key = people_with_{{ target }}s.person_key
    where
        people_with_{{ target }}s.person_key is null
        and (select count(*) from people_with_{{ target }}s) > 0
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

named_alike as (
    select
        lower(regexp_replace(trim(employee_name), '\s+', ' ', 'g')) as name_key,
        min(employee_name) as employee_name,
        count(distinct source_key) as connections_count,
        min(source_key) as source_key,
        min(person_key) as person_key,
        string_agg(source_key || ' ' || employee_id, ', ' order by source_key, employee_id)
            as accounts
    from employees
    group by name_key
    having count(distinct person_key) > 1
),

q19_named_alike as (
    select
        'Q19' as rule_id,
        'accounts_of_one_name' as finding,
        case when connections_count = 1 then source_key else '(all)' end as source_key,
        'employee' as entity,
        name_key as record_id,
        person_key as employee_key,
        null::varchar as card_url,
        {{ facts({'employee': 'employee_name', 'accounts': 'accounts'}) }} as facts
    from named_alike
)

select * from unknown_names
union all
select * from q18_sellers_without_target
union all
select * from q19_named_alike
