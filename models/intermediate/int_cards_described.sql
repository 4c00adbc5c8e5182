-- Product and client grade of cards, by the company's mapped fields.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with custom_fields as (
    select * from {{ ref('int_custom_field_values') }}
)

select
    card_key,
    max(segment_value) filter (where segment_type = 'product') as product_name,
    max(segment_value) filter (where segment_type = 'grade') as client_grade
from custom_fields
group by card_key
