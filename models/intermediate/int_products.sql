-- Products of all systems.
with bitrix24 as (
    select * from {{ ref('int_bitrix24__products') }}
),

amocrm as (
    select * from {{ ref('int_amocrm__products') }}
),

unioned as (
    select * from bitrix24
    union all
    select * from amocrm
)

select
    {{ hash_key(['source_key', "'product'", 'catalog_id', 'product_id']) }} as product_key,
    source_key,
    catalog_id,
    product_id,
    product_name,
    price,
    currency_code,
    is_listed
from unioned
