-- Reasons that a dictionary lists, and those that lost deals have beside it.
with dictionary as (
    select * from {{ ref('int_loss_reasons') }}
),

of_deals as (
    select * from {{ ref('int_deal_loss_reasons') }}
),

listed as (
    select
        {{ hash_key(['source_key', "'dictionary'", 'loss_reason_id']) }} as loss_reason_key,
        source_key,
        'dictionary' as loss_reason_basis,
        loss_reason_id::varchar as loss_reason_id,
        coalesce(nullif(loss_reason_name, ''), 'Loss reason ' || loss_reason_id)
            as loss_reason_name,
        is_listed
    from dictionary
),

named as (
    select
        loss_reason_key,
        source_key,
        loss_reason_basis,
        loss_reason_id,
        loss_reason_name
    from of_deals
    group by loss_reason_key, source_key, loss_reason_basis, loss_reason_id, loss_reason_name
)

select
    loss_reason_key,
    source_key,
    loss_reason_basis,
    loss_reason_id,
    loss_reason_name,
    is_listed
from listed
union all
select
    named.loss_reason_key,
    named.source_key,
    named.loss_reason_basis,
    named.loss_reason_id,
    named.loss_reason_name,
    false as is_listed
from named
left join listed
    on named.loss_reason_key = listed.loss_reason_key
where listed.loss_reason_key is null
