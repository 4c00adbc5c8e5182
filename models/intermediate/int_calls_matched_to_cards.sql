-- Which card a call belongs to, each external call exactly once. Methods in the order of
-- docs/definitions.md, each only over calls still unmatched.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with calls as (
    select * from {{ ref('int_calls_with_client') }}
),

bound as (
    select * from {{ ref('int_calls_bound_to_cards') }}
),

by_client as (
    select * from {{ ref('int_calls_matched_by_client') }}
),

matched as (
    select
        call_key,
        card_key,
        stage_visit_key,
        match_method,
        is_ambiguous
    from bound
    union all
    select
        call_key,
        card_key,
        stage_visit_key,
        match_method,
        is_ambiguous
    from by_client
)

select
    calls.call_key,
    matched.card_key,
    matched.stage_visit_key,
    case
        when matched.call_key is not null then matched.match_method
        when calls.client_key is not null then 'no_open_card'
        else 'unknown_number'
    end as match_method,
    coalesce(matched.is_ambiguous, false) as is_ambiguous
from calls
left join matched
    on calls.call_key = matched.call_key
