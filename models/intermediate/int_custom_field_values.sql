-- Long: one row per card and named segment whose custom field has a value. The only place that
-- unpacks the JSON column. The option of a list field shows its label; a field with several values
-- at once stays as the system gives it.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with deals as (
    select * from {{ ref('int_deals') }}
),

leads as (
    select * from {{ ref('int_leads') }}
),

cards as (
    select
        deal_key as card_key,
        source_key,
        custom_fields
    from deals
    union all
    select
        lead_key as card_key,
        source_key,
        custom_fields
    from leads
),

segments as (
    select * from {{ ref('stg_company__segments') }}
),

options as (
    select * from {{ ref('int_custom_field_options') }}
),

keys as (
    select
        card_key,
        source_key,
        custom_fields,
        {{ unnest_json_keys('custom_fields') }} as custom_field
    from cards
    where custom_fields is not null
),

unpacked as (
    select
        keys.card_key,
        keys.source_key,
        keys.custom_field,
        segments.segment_type,
        {{ json_text('keys.custom_fields', 'keys.custom_field') }} as segment_value
    from keys
    inner join segments
        on keys.source_key = segments.source_key
        and keys.custom_field = segments.custom_field
)

select
    unpacked.card_key,
    unpacked.segment_type,
    coalesce(options.option_label, unpacked.segment_value) as segment_value
from unpacked
left join options
    on unpacked.source_key = options.source_key
    and unpacked.custom_field = options.custom_field
    and unpacked.segment_value = options.option_id
where unpacked.segment_value is not null and unpacked.segment_value not in ('', '[]', '{}')
