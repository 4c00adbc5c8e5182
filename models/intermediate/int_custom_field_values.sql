-- Long: one row per deal and named segment whose custom field has a value. The only place that
-- unpacks the JSON column.
with deals as (
    select * from {{ ref('int_deals') }}
),

segments as (
    select * from {{ ref('stg_company__segments') }}
),

keys as (
    select
        deal_key,
        custom_fields,
        {{ unnest_json_keys('custom_fields') }} as custom_field
    from deals
    where custom_fields is not null
),

unpacked as (
    select
        keys.deal_key,
        segments.segment_type,
        {{ json_text('keys.custom_fields', 'keys.custom_field') }} as segment_value
    from keys
    inner join segments
        on keys.custom_field = segments.custom_field
)

select
    deal_key,
    segment_type,
    segment_value
from unpacked
where segment_value is not null and segment_value not in ('', '[]', '{}')
