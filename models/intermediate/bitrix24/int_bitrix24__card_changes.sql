-- Who moved and who changed a card, as far as loads have seen it: the portal names only the last
-- one, so that what happened between two loads under other names is not known.
{{ config(materialized='view') }}

with deal_versions as (
    select * from {{ ref('stg_bitrix24__deal_versions') }}
),

lead_versions as (
    select * from {{ ref('stg_bitrix24__lead_versions') }}
),

connections as (
    select * from {{ ref('int_connections') }}
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
),

changes as (
    select
        source_key,
        card_type,
        card_id,
        'move' as change_type,
        moved_at as changed_at,
        moved_by_id as employee_id
    from versions
    union all
    select
        source_key,
        card_type,
        card_id,
        'change' as change_type,
        modified_at as changed_at,
        modified_by_id as employee_id
    from versions
)

select
    changes.source_key,
    changes.card_type,
    changes.card_id,
    changes.change_type,
    changes.changed_at,
    -- The portal's history has no link to who moved: the instant tells which entry it was.
    null::varchar as entry_id,
    min(changes.employee_id) as employee_id
from changes
inner join connections
    on changes.source_key = connections.source_key
where changes.employee_id is not null and changes.changed_at <= connections.as_of_at
group by
    changes.source_key,
    changes.card_type,
    changes.card_id,
    changes.change_type,
    changes.changed_at
