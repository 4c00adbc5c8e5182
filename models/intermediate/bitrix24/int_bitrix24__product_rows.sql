-- Rows of products that the last reading of the deal showed: older rows have left it since.
{{ config(materialized='view') }}

with product_rows as (
    select * from {{ ref('stg_bitrix24__product_rows') }}
    -- D is a deal: rows of other cards are not read.
    where card_type_code = 'D'
),

reads as (
    select * from {{ ref('stg_bitrix24__detail_reads') }}
    where entity = 'product_rows' and detail_owner_type = 'deal'
)

select
    product_rows.source_key,
    product_rows.product_row_id,
    product_rows.card_id as deal_id,
    product_rows.product_id,
    product_rows.product_name,
    product_rows.product_type,
    product_rows.quantity,
    product_rows.measure_name,
    product_rows.price,
    product_rows.net_price,
    product_rows.gross_price,
    product_rows.discount_type,
    product_rows.discount_percent,
    product_rows.discount_amount,
    product_rows.tax_percent,
    product_rows.is_tax_included,
    product_rows.row_sort
from product_rows
inner join reads
    on product_rows.source_key = reads.source_key
    and product_rows.card_id = reads.detail_owner_id
    and product_rows.received_at >= reads.read_at
