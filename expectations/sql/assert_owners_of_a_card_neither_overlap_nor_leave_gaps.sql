{{ config(meta={'dagster': {'ref': {'name': 'fct_owner_intervals'}}}) }}
-- A card has one owner at every instant from its creation on.
with intervals as (
    select
        *,
        row_number() over (partition by card_key order by owned_from_at, valid_to) as place,
        lead(owned_from_at) over (
            partition by card_key order by owned_from_at, valid_to
        ) as next_from_at
    from {{ ref('fct_owner_intervals') }}
),

cards as (
    select * from {{ ref('int_cards') }}
)

select
    cards.card_key,
    intervals.owned_from_at,
    intervals.valid_to,
    intervals.next_from_at
from cards
left join intervals
    on cards.card_key = intervals.card_key
where
    intervals.card_key is null
    or (intervals.place = 1 and intervals.owned_from_at <> cards.created_at)
    or intervals.valid_to <> coalesce(intervals.next_from_at, {{ end_of_time() }})
