-- Smart invoices: whether each is paid, and when it came to a paid stage: of the history the last
-- entry, else the invoice's own last move.
with invoices as (
    select * from {{ ref('stg_bitrix24__invoices') }}
),

history as (
    select * from {{ ref('stg_bitrix24__invoice_stage_history') }}
),

statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
    where dictionary like 'SMART\_INVOICE\_STAGE%' escape '\' and semantics_code = 'S'
),

deleted as (
    select * from {{ ref('stg_bitrix24__deleted_records') }}
    where entity = 'invoices'
),

connections as (
    select * from {{ ref('int_connections') }}
),

paid_stages as (
    select
        source_key,
        status_id
    from statuses
    group by source_key, status_id
),

entries as (
    select
        source_key,
        invoice_id,
        stage_id,
        max(entered_at) as entered_at
    from history
    group by source_key, invoice_id, stage_id
),

flagged as (
    select
        invoices.source_key,
        invoices.invoice_id,
        invoices.deal_id,
        invoices.company_id,
        invoices.contact_id,
        invoices.owner_id,
        invoices.amount,
        invoices.currency_code,
        connections.as_of_at,
        coalesce(entries.entered_at, invoices.moved_at, invoices.modified_at) as paid_at,
        paid_stages.status_id is not null as is_paid,
        deleted.record_id is not null as is_deleted
    from invoices
    inner join connections
        on invoices.source_key = connections.source_key
    left join paid_stages
        on invoices.source_key = paid_stages.source_key
        and invoices.stage_id = paid_stages.status_id
    left join entries
        on invoices.source_key = entries.source_key
        and invoices.invoice_id = entries.invoice_id
        and invoices.stage_id = entries.stage_id
    left join deleted
        on invoices.source_key = deleted.source_key
        and invoices.invoice_id = deleted.record_id
        and invoices.received_at <= deleted.noticed_at
)

select
    source_key,
    invoice_id,
    deal_id,
    company_id,
    contact_id,
    owner_id,
    amount,
    currency_code,
    paid_at,
    is_paid,
    is_deleted,
    coalesce(paid_at <= as_of_at, false) as is_before_cut
from flagged
