-- The combinations of UTM tags that cards which count name: their requests and wins add up by them.
with deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

named as (
    select
        utm_key,
        source_key,
        utm_source,
        utm_medium,
        utm_campaign
    from deals
    union
    select
        utm_key,
        source_key,
        utm_source,
        utm_medium,
        utm_campaign
    from leads
)

select
    utm_key,
    source_key,
    utm_source,
    utm_medium,
    utm_campaign
from named
where utm_key is not null
