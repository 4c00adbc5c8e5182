-- Every row of the account's dictionaries with the dimension that describes it, if one does, and
-- its key there.
{{ config(materialized='view') }}

with users as (
    select * from {{ ref('stg_amocrm__users') }}
),

user_groups as (
    select * from {{ ref('stg_amocrm__groups') }}
),

pipelines as (
    select * from {{ ref('stg_amocrm__pipelines') }}
),

statuses as (
    select * from {{ ref('stg_amocrm__statuses') }}
),

loss_reasons as (
    select * from {{ ref('stg_amocrm__loss_reasons') }}
),

catalogs as (
    select * from {{ ref('stg_amocrm__catalogs') }}
),

elements as (
    select * from {{ ref('stg_amocrm__catalog_elements') }}
)

select
    source_key,
    'users' as entity,
    'dim_employees' as dimension,
    {{ hash_key(['source_key', 'employee_id']) }} as record_key
from users
union all
select
    source_key,
    'groups' as entity,
    'dim_departments' as dimension,
    {{ hash_key(['source_key', "'department'", 'group_id']) }} as record_key
from user_groups
union all
select
    source_key,
    'pipelines' as entity,
    'dim_pipelines' as dimension,
    {{ hash_key(['source_key', 'pipeline_id']) }} as record_key
from pipelines
union all
select
    source_key,
    'statuses' as entity,
    'dim_stages' as dimension,
    {{ hash_key(['source_key', 'pipeline_id', 'status_id']) }} as record_key
from statuses
union all
select
    source_key,
    'loss_reasons' as entity,
    'dim_loss_reasons' as dimension,
    {{ hash_key(['source_key', "'dictionary'", 'loss_reason_id']) }} as record_key
from loss_reasons
union all
-- Elements of bills and suppliers are no products.
select
    elements.source_key,
    'catalog_elements' as entity,
    case
        when coalesce(catalogs.catalog_type, 'products') not in ('invoices', 'suppliers')
            then 'dim_products'
    end as dimension,
    {{ hash_key(
        ['elements.source_key', "'product'", 'elements.catalog_id', 'elements.element_id']
    ) }} as record_key
from elements
left join catalogs
    on elements.source_key = catalogs.source_key
    and elements.catalog_id = catalogs.catalog_id
