-- Lines of marketing_costs.csv by day. Whole cents: a line's days add up to its amount, and two
-- builds agree. Days after as-of wait.
with costs as (
    select * from {{ ref('stg_company__marketing_costs') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

days as (
    select
        costs.*,
        {{ date_series('costs.from_on', '(costs.until_on - 1)') }}::date as spent_on
    from costs
),

shared_out as (
    select
        days.*,
        100 * days.amount as cents,
        days.spent_on - days.from_on as days_before,
        days.until_on - days.from_on as days_count
    from days
    inner join connections
        on days.source_key = connections.source_key
        and days.spent_on <= connections.as_of_on
)

select
    {{ hash_key([
        'source_key', "'cost'", "coalesce(source_name, '-')", "coalesce(utm_source, '-')",
        "coalesce(utm_medium, '-')", "coalesce(utm_campaign, '-')", 'from_on', 'until_on',
        'spent_on',
    ]) }} as marketing_cost_key,
    source_key,
    source_name,
    utm_source,
    utm_medium,
    utm_campaign,
    spent_on,
    (
        (floor(cents * (days_before + 1) / days_count) - floor(cents * days_before / days_count))
        ::decimal(20, 0) * 0.01
    )::decimal(18, 2) as amount,
    currency_code,
    line
from shared_out
