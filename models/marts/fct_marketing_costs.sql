-- What was spent on marketing by day, in the company's currency at the rate of the day.
with costs as (
    select * from {{ ref('int_marketing_cost_days') }}
),

currency_rates as (
    select * from {{ ref('dim_currency_rates') }}
),

sources as (
    select * from {{ ref('dim_sources') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

-- Two entries of a dictionary may share a name: the first stands for it.
named_sources as (
    select
        source_key,
        source_name,
        min(lead_source_key) as lead_source_key
    from sources
    group by source_key, source_name
)

select
    costs.marketing_cost_key,
    costs.source_key,
    costs.spent_on,
    named_sources.lead_source_key,
    costs.source_name,
    costs.utm_source,
    costs.utm_medium,
    costs.utm_campaign,
    costs.amount,
    costs.currency_code,
    (costs.amount::decimal(28, 2) * currency_rates.rate)::decimal(18, 2) as company_amount,
    rules.currency_code as company_currency_code,
    costs.line as file_line
from costs
cross join rules
left join named_sources
    on costs.source_key = named_sources.source_key
    and costs.source_name = named_sources.source_name
left join currency_rates
    on costs.currency_code = currency_rates.currency_code
    and costs.spent_on >= currency_rates.valid_from_on
    and costs.spent_on < currency_rates.valid_to_on
