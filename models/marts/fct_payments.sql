with payments as (
    select * from {{ ref('int_payments') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

-- A payment is credited to the owner at the win; until there is one, to the owner now.
credited as (
    select
        payments.*,
        case
            when deals.deal_state = 'won' then deals.close_owner_employee_key
            else payments.owner_employee_key
        end as credited_employee_key
    from payments
    left join deals
        on payments.deal_key = deals.deal_key
)

select
    credited.payment_key,
    credited.source_key,
    credited.payment_basis,
    credited.record_id as payment_record_id,
    credited.deal_key,
    credited.client_key,
    credited.paid_at,
    credited.paid_on,
    credited.amount,
    coalesce(credited.currency_code, rules.currency_code) as currency_code,
    coalesce(credited.credited_employee_key, {{ nobody_key() }}) as owner_employee_key,
    case
        when employees.former_from_on <= credited.paid_on then {{ former_employees_key() }}
        else coalesce(credited.credited_employee_key, {{ nobody_key() }})
    end as reporting_employee_key
from credited
cross join rules
left join employees
    on credited.credited_employee_key = employees.employee_key
