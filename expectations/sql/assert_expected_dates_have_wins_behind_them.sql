{{ config(meta={'dagster': {'ref': {'name': 'metric_open_cards__by_card'}}}) }}
-- A date is reckoned from deals that were won: where none was, nothing is expected.
select
    card_key,
    pipeline_name,
    expected_close_at,
    expected_close_basis
from {{ ref('metric_open_cards__by_card') }}
where
    (weight_basis = 'unknown' and expected_close_basis in ('stage', 'pipeline'))
    or (expected_close_basis = 'unknown' and expected_close_at is not null)
    or (weight_won_count = 0 and weight_basis = 'pipeline' and expected_close_basis = 'pipeline')
