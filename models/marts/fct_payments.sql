with payments as (
    select * from {{ ref('int_payments') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

days as (
    select * from {{ ref('int_days_by_utc_date') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

currency_rates as (
    select * from {{ ref('dim_currency_rates') }}
),

-- A payment is credited to the owner at the win; until there is one, to the owner now.
credited as (
    select
        payments.*,
        deals.pipeline_key,
        coalesce(payments.currency_code, rules.currency_code) as paid_currency_code,
        rules.currency_code as company_currency_code,
        coalesce(days.date_day, payments.paid_on) as local_paid_on,
        case
            when deals.deal_state = 'won' then deals.close_owner_employee_key
            else payments.owner_employee_key
        end as credited_employee_key
    from payments
    cross join rules
    left join deals
        on payments.deal_key = deals.deal_key
    left join days
        on payments.paid_at::date = days.utc_on
        and payments.paid_at >= days.starts_at
        and payments.paid_at < days.ends_at
)

select
    credited.payment_key,
    credited.source_key,
    credited.payment_basis,
    credited.record_id as payment_record_id,
    credited.deal_key,
    credited.pipeline_key,
    credited.client_key,
    credited.paid_at,
    credited.local_paid_on as paid_on,
    credited.amount,
    credited.paid_currency_code as currency_code,
    (credited.amount::decimal(28, 2) * currency_rates.rate)::decimal(18, 2) as company_amount,
    credited.company_currency_code,
    coalesce(credited.credited_employee_key, {{ nobody_key() }}) as owner_employee_key,
    {{ reporting_key('employees', 'credited.local_paid_on', 'credited.credited_employee_key') }}
        as reporting_employee_key
from credited
left join currency_rates
    on credited.paid_currency_code = currency_rates.currency_code
    and credited.local_paid_on >= currency_rates.valid_from_on
    and credited.local_paid_on < currency_rates.valid_to_on
left join employees
    on credited.credited_employee_key = employees.employee_key
