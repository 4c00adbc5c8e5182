-- Who moved and who changed a card, as far as loads have seen it: the portal names only the last
-- one, so that what happened between two loads under other names is not known.
{{ config(materialized='view') }}

with deal_versions as (
    select * from {{ ref('stg_bitrix24__deal_versions') }}
),

lead_versions as (
    select * from {{ ref('stg_bitrix24__lead_versions') }}
),

versions as (
    select
        'deal' as card_type,
        source_key,
        deal_id as card_id,
        moved_by_id,
        moved_at,
        modified_by_id,
        modified_at
    from deal_versions
    union all
    select
        'lead' as card_type,
        source_key,
        lead_id as card_id,
        moved_by_id,
        moved_at,
        modified_by_id,
        modified_at
    from lead_versions
)

select
    source_key,
    card_type,
    card_id,
    'move' as change_type,
    moved_at as changed_at,
    min(moved_by_id) as employee_id
from versions
where moved_by_id is not null and moved_at is not null
group by source_key, card_type, card_id, moved_at
union all
select
    source_key,
    card_type,
    card_id,
    'change' as change_type,
    modified_at as changed_at,
    min(modified_by_id) as employee_id
from versions
where modified_by_id is not null and modified_at is not null
group by source_key, card_type, card_id, modified_at
