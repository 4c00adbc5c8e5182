-- Currencies that the company, its rates or a card names.
with rules as (
    select * from {{ ref('stg_company__rules') }}
),

rates as (
    select * from {{ ref('stg_company__currency_rates') }}
),

deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

costs as (
    select * from {{ ref('stg_company__marketing_costs') }}
),

named as (
    select currency_code from rules
    union
    select currency_code from rates
    union
    select currency_code from deals
    union
    select currency_code from leads
    union
    select currency_code from payments
    union
    select currency_code from costs
),

rated as (
    select currency_code
    from rates
    group by currency_code
)

select
    named.currency_code,
    named.currency_code = rules.currency_code as is_company_currency,
    named.currency_code = rules.currency_code or rated.currency_code is not null as has_rate
from named
cross join rules
left join rated
    on named.currency_code = rated.currency_code
where named.currency_code is not null
