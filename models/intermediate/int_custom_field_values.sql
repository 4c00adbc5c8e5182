-- Long: one row per deal and named segment whose custom field has a value. The only place that
-- unpacks the JSON column.
with deals as (
    select * from {{ ref('int_deals') }}
),

segments as (
    select * from {{ ref('stg_company__segments') }}
),

unpacked as (
    select
        deals.deal_key,
        segments.segment_type,
        {{ json_text('deals.custom_fields', 'segments.custom_field') }} as segment_value
    from deals
    cross join segments
    where deals.custom_fields is not null
)

select
    deal_key,
    segment_type,
    segment_value
from unpacked
where segment_value is not null and segment_value not in ('', '[]', '{}')
