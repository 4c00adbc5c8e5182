-- Bindings that the last reading of the activity showed: older rows have left it since.
{{ config(materialized='view') }}

with activity_bindings as (
    select * from {{ ref('stg_bitrix24__activity_bindings') }}
),

reads as (
    select * from {{ ref('stg_bitrix24__detail_reads') }}
    where entity = 'activity_bindings' and detail_owner_type = 'activity'
)

select
    activity_bindings.source_key,
    activity_bindings.activity_id,
    activity_bindings.entity_type_id,
    activity_bindings.entity_id
from activity_bindings
inner join reads
    on activity_bindings.source_key = reads.source_key
    and activity_bindings.activity_id = reads.detail_owner_id
    and activity_bindings.received_at >= reads.read_at
