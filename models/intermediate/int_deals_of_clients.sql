-- The client's cards: one row per deal and party, the party being the deal's client or the contact
-- it names.
with deals as (
    select * from {{ ref('int_deals') }}
)

select
    deal_key,
    client_key as party_key
from deals
where client_key is not null
union
select
    deal_key,
    contact_key as party_key
from deals
where contact_key is not null
