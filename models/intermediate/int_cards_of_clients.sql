-- The client's cards: one row per card and party, the party being the card's client or the contact
-- it names.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with cards as (
    select * from {{ ref('int_cards') }}
)

select
    card_key,
    client_key as party_key
from cards
where client_key is not null
union
select
    card_key,
    contact_key as party_key
from cards
where contact_key is not null
