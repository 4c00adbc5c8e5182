-- Comments that the last reading of the card showed: older rows have left it since.
{{ config(materialized='view') }}

with timeline_comments as (
    select * from {{ ref('stg_bitrix24__timeline_comments') }}
),

reads as (
    select * from {{ ref('stg_bitrix24__detail_reads') }}
    where entity = 'timeline_comments'
)

select
    timeline_comments.source_key,
    timeline_comments.card_type,
    timeline_comments.card_id,
    timeline_comments.comment_id,
    timeline_comments.created_by_id,
    timeline_comments.created_at,
    timeline_comments.comment_text
from timeline_comments
inner join reads
    on timeline_comments.source_key = reads.source_key
    and timeline_comments.card_type = reads.detail_owner_type
    and timeline_comments.card_id = reads.detail_owner_id
    and timeline_comments.received_at >= reads.read_at
