-- Smart invoices that stood on a paid stage at the cut.
{{ config(materialized='view') }}

with invoices as (
    select * from {{ ref('int_bitrix24__invoices') }}
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
    paid_at
from invoices
where is_paid and is_before_cut and not is_deleted
