-- Elements of the account's catalogs; those of bills and suppliers are no products.
{{ config(materialized='view') }}

with elements as (
    select * from {{ ref('stg_amocrm__catalog_elements') }}
),

catalogs as (
    select * from {{ ref('stg_amocrm__catalogs') }}
),

accounts as (
    select * from {{ ref('stg_amocrm__account') }}
),

deleted as (
    select * from {{ ref('stg_amocrm__deleted_records') }}
    where entity = 'catalog_elements'
)

select
    elements.source_key,
    elements.catalog_id,
    elements.element_id as product_id,
    elements.element_name as product_name,
    try_cast(
        {{ first_field_value('elements.custom_fields', 'PRICE') }} as decimal(18, 4)
    ) as price,
    accounts.currency_code,
    not elements.is_deleted and deleted.record_id is null as is_listed
from elements
left join catalogs
    on elements.source_key = catalogs.source_key
    and elements.catalog_id = catalogs.catalog_id
left join accounts
    on elements.source_key = accounts.source_key
-- A record that came back after it was noticed missing was restored from the recycle bin.
left join deleted
    on elements.source_key = deleted.source_key
    and elements.element_id = deleted.record_id
    and elements.received_at <= deleted.noticed_at
where coalesce(catalogs.catalog_type, 'products') not in ('invoices', 'suppliers')
