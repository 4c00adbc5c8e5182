-- Whom rankings, medians, norms and dense rows are about: the people whom sellers.csv names, alone
-- or by their department. Without the file: who is employed now and in the last 90 days owned a
-- card or was in an external call.
with people as (
    select * from {{ ref('dim_employees') }}
    where employee_kind = 'person' and employee_key = person_key
),

accounts as (
    select * from {{ ref('dim_employees') }}
    where employee_kind = 'person'
),

department_employees as (
    select * from {{ ref('dim_department_employees') }}
),

named as (
    select * from {{ ref('stg_company__sellers') }}
),

owner_intervals as (
    select * from {{ ref('fct_owner_intervals') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

dates as (
    select * from {{ ref('dim_dates') }}
    where is_as_of_day
),

by_file as (
    select accounts.person_key
    from accounts
    inner join named
        on accounts.source_key = named.source_key
        and accounts.employee_id = named.employee_id
    union
    select department_employees.employee_key as person_key
    from department_employees
    inner join named
        on department_employees.department_name = named.department_name
),

owners as (
    select owner_intervals.owner_employee_key as employee_key
    from owner_intervals
    inner join dates
        on owner_intervals.valid_to > dates.ends_at - interval 90 days
        and owner_intervals.owned_from_at < dates.ends_at
    group by owner_intervals.owner_employee_key
),

talkers as (
    select calls.talker_employee_key as employee_key
    from calls
    inner join dates
        on calls.started_on > dates.date_day - 90
        and calls.started_on <= dates.date_day
    group by calls.talker_employee_key
),

busy as (
    select employee_key from owners
    union
    select employee_key from talkers
),

by_activity as (
    select accounts.person_key
    from busy
    inner join accounts
        on busy.employee_key = accounts.employee_key
    where accounts.is_active
    group by accounts.person_key
),

has_file as (
    select count(*) > 0 as has_file from named
),

chosen as (
    select
        by_file.person_key,
        'file' as seller_basis
    from by_file
    union all
    select
        by_activity.person_key,
        'activity' as seller_basis
    from by_activity
    cross join has_file
    where not has_file.has_file
),

-- Where nobody says when somebody was hired, rows begin with the first thing credited to them.
credits as (
    select
        reporting_employee_key,
        min(entered_on) as credited_on
    from visits
    group by reporting_employee_key
    union all
    select
        reporting_employee_key,
        min(started_on) as credited_on
    from calls
    group by reporting_employee_key
),

first_credits as (
    select
        reporting_employee_key,
        min(credited_on) as credited_on
    from credits
    group by reporting_employee_key
)

select
    people.employee_key,
    people.source_key,
    people.employee_name,
    people.department_key,
    people.department_name,
    chosen.seller_basis,
    case
        when people.hired_on_basis = 'registered' then people.hired_on
        else coalesce(first_credits.credited_on, people.hired_on)
    end as seller_from_on,
    people.former_from_on as seller_until_on
from chosen
inner join people
    on chosen.person_key = people.employee_key
left join first_credits
    on people.employee_key = first_credits.reporting_employee_key
