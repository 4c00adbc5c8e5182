-- Payments, per connection from the first of these that it has: paid invoices, stages with the role
-- payment (a deal's first entry, with the deal's amount), payments.csv.
with invoices as (
    select * from {{ ref('int_bitrix24__paid_invoices') }}
),

payments_of_file as (
    select * from {{ ref('stg_company__payments') }}
),

stage_roles as (
    select * from {{ ref('stg_company__stage_roles') }}
    where stage_role = 'payment'
),

visits as (
    select * from {{ ref('int_stage_visits_bounded') }}
    where card_type = 'deal'
),

deals as (
    select * from {{ ref('int_deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_crm
),

with_invoices as (
    select source_key
    from invoices
    group by source_key
),

payment_stages as (
    select
        source_key,
        {{ hash_key(['source_key', 'pipeline_id', 'stage_id']) }} as stage_key
    from stage_roles
),

with_stages as (
    select source_key
    from payment_stages
    group by source_key
),

bases as (
    select
        connections.source_key,
        connections.as_of_on,
        case
            when with_invoices.source_key is not null then 'invoice'
            when with_stages.source_key is not null then 'stage_entry'
            else 'file'
        end as payment_basis
    from connections
    left join with_invoices
        on connections.source_key = with_invoices.source_key
    left join with_stages
        on connections.source_key = with_stages.source_key
),

entries as (
    select
        visits.*,
        row_number() over (partition by visits.card_key order by visits.visit_number) as place
    from visits
    inner join payment_stages
        on visits.stage_key = payment_stages.stage_key
),

-- Of equal payments of a deal on one day each has its place: a line that moves renumbers nothing.
placed_payments as (
    select
        *,
        row_number() over (
            partition by source_key, deal_id, paid_on, amount, currency_code order by line
        ) as place
    from payments_of_file
),

unioned as (
    select
        invoices.source_key,
        'invoice' as payment_basis,
        invoices.invoice_id::varchar as record_id,
        {{ hash_key(['invoices.source_key', 'invoices.deal_id']) }} as deal_key,
        invoices.deal_id is not null as has_deal,
        case
            when invoices.company_id is not null
                then {{ hash_key(["invoices.source_key", "'company'", "invoices.company_id"]) }}
            when invoices.contact_id is not null
                then {{ hash_key(["invoices.source_key", "'contact'", "invoices.contact_id"]) }}
        end as client_key,
        case
            when invoices.owner_id is not null
                then {{ hash_key(['invoices.source_key', 'invoices.owner_id']) }}
        end as owner_employee_key,
        invoices.paid_at,
        null::date as paid_on,
        invoices.amount,
        invoices.currency_code
    from invoices
    union all
    select
        entries.source_key,
        'stage_entry' as payment_basis,
        entries.stage_visit_key::varchar as record_id,
        entries.card_key as deal_key,
        true as has_deal,
        null::bigint as client_key,
        null::bigint as owner_employee_key,
        entries.entered_at as paid_at,
        null::date as paid_on,
        deals.amount,
        deals.currency_code
    from entries
    inner join deals
        on entries.card_key = deals.deal_key
    where entries.place = 1
    union all
    select
        source_key,
        'file' as payment_basis,
        coalesce(
            payment_id, concat_ws('/', deal_id, paid_on, amount, currency_code, place)
        ) as record_id,
        {{ hash_key(['source_key', 'deal_id']) }} as deal_key,
        true as has_deal,
        null::bigint as client_key,
        null::bigint as owner_employee_key,
        null::timestamp as paid_at,
        paid_on,
        amount,
        currency_code
    from placed_payments
)

select
    {{ hash_key(['unioned.source_key', 'unioned.payment_basis', 'unioned.record_id']) }}
        as payment_key,
    unioned.source_key,
    unioned.payment_basis,
    unioned.record_id,
    deals.deal_key,
    coalesce(unioned.client_key, deals.client_key) as client_key,
    coalesce(unioned.owner_employee_key, deals.owner_employee_key) as owner_employee_key,
    unioned.paid_at,
    unioned.paid_on,
    unioned.amount,
    unioned.currency_code
from unioned
inner join bases
    on unioned.source_key = bases.source_key
    and unioned.payment_basis = bases.payment_basis
left join deals
    on unioned.deal_key = deals.deal_key
-- The file tells days, the systems instants, which lie before as-of.
where
    (unioned.paid_at is not null or unioned.paid_on <= bases.as_of_on)
    and (deals.deal_key is not null or not unioned.has_deal)
