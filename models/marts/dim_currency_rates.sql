-- What a unit of a currency is worth in the company's: a rate holds until the next row of the
-- currency. The company's own is worth 1 at all times, so that joins need no exception for it.
with rates as (
    select * from {{ ref('stg_company__currency_rates') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

own as (
    select
        currency_code,
        date '0001-01-01' as valid_from_on,
        1::decimal(18, 8) as rate
    from rules
),

unioned as (
    select
        currency_code,
        valid_from_on,
        rate
    from rates
    union all
    select
        currency_code,
        valid_from_on,
        rate
    from own
)

select
    {{ hash_key(['currency_code', 'valid_from_on']) }} as currency_rate_key,
    currency_code,
    valid_from_on,
    coalesce(
        lead(valid_from_on) over (partition by currency_code order by valid_from_on),
        date '9999-12-31'
    ) as valid_to_on,
    rate
from unioned
