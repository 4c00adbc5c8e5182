-- R14: with whom each person talks, by the grade of the card that the call belongs to. The talker's
-- external calls; a call without a card is there as "(no card)", so that days add up to the calls.
with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

cards as (
    select * from {{ ref('dim_cards') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

counted as (
    select
        calls.source_key,
        calls.started_on as called_on,
        calls.reporting_employee_key,
        cards.client_grade,
        count(*) as calls_count,
        count(*) filter (where calls.is_successful) as successful_count,
        sum(calls.talk_seconds) as talk_seconds
    from calls
    inner join cards
        on coalesce(calls.card_key, {{ no_card_key() }}) = cards.card_key
    group by calls.source_key, calls.started_on, calls.reporting_employee_key, cards.client_grade
)

select
    {{ hash_key([
        'counted.source_key', 'counted.called_on', 'counted.reporting_employee_key',
        'counted.client_grade',
    ]) }} as talk_grade_key,
    counted.source_key,
    counted.called_on,
    counted.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    counted.client_grade,
    counted.calls_count::bigint as calls_count,
    counted.successful_count::bigint as successful_count,
    coalesce(counted.talk_seconds, 0)::bigint as talk_seconds
from counted
inner join employees
    on counted.reporting_employee_key = employees.employee_key
