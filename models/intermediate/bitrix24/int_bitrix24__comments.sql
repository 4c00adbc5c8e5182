-- Comments on cards, up to the cut, as the last reading of each card showed them.
{{ config(materialized='view') }}

with timeline_comments as (
    select * from {{ ref('int_bitrix24__timeline_comments') }}
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    timeline_comments.source_key,
    timeline_comments.comment_id as record_id,
    timeline_comments.card_type,
    timeline_comments.card_id,
    timeline_comments.created_by_id as employee_id,
    timeline_comments.created_at as written_at,
    length({{ stripped('timeline_comments.comment_text') }}) as text_length,
    {{ hash_key(['lower(' ~ stripped('timeline_comments.comment_text') ~ ')']) }} as text_key
from timeline_comments
inner join connections
    on timeline_comments.source_key = connections.source_key
where
    timeline_comments.card_type in ('deal', 'lead')
    and timeline_comments.created_at <= connections.as_of_at
