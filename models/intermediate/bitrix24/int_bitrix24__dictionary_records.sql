-- Every row of the portal's dictionaries with the dimension that describes it, if one does, and its
-- key there.
{{ config(materialized='view') }}

with users as (
    select * from {{ ref('stg_bitrix24__users') }}
),

departments as (
    select * from {{ ref('stg_bitrix24__departments') }}
),

categories as (
    select * from {{ ref('stg_bitrix24__categories') }}
),

statuses as (
    select * from {{ ref('stg_bitrix24__statuses') }}
),

products as (
    select * from {{ ref('stg_bitrix24__products') }}
),

leads as (
    select * from {{ ref('stg_bitrix24__leads') }}
),

-- The dictionary of leads' stages is there in every portal, also in one that works without leads.
portals_with_leads as (
    select source_key
    from leads
    group by source_key
),

staged as (
    select
        statuses.source_key,
        statuses.dictionary,
        statuses.status_id,
        case
            when statuses.dictionary = 'STATUS' then {{ leads_pipeline_id() }}
            when statuses.dictionary = 'DEAL_STAGE' then 0
            when statuses.dictionary like 'DEAL\_STAGE\_%' escape '\'
                then try_cast(substr(statuses.dictionary, 12) as bigint)
        end as pipeline_id,
        statuses.dictionary = 'STATUS' and portals_with_leads.source_key is null as is_unused
    from statuses
    left join portals_with_leads
        on statuses.source_key = portals_with_leads.source_key
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
    'departments' as entity,
    'dim_departments' as dimension,
    {{ hash_key(['source_key', "'department'", 'department_id']) }} as record_key
from departments
union all
-- 2 is a deal: invoices and smart processes have pipelines with ids of their own.
select
    source_key,
    'categories' as entity,
    case when entity_type_id = 2 then 'dim_pipelines' end as dimension,
    case
        when entity_type_id = 2 then {{ hash_key(['source_key', 'pipeline_id']) }}
        else {{ hash_key(['source_key', 'entity_type_id', 'pipeline_id']) }}
    end as record_key
from categories
union all
select
    source_key,
    'statuses' as entity,
    case
        when dictionary = 'SOURCE' then 'dim_sources'
        when pipeline_id is not null and not is_unused then 'dim_stages'
    end as dimension,
    case
        when dictionary = 'SOURCE' then {{ hash_key(['source_key', "'source'", 'status_id']) }}
        when pipeline_id is not null and not is_unused
            then {{ hash_key(['source_key', 'pipeline_id', 'status_id']) }}
        else {{ hash_key(['source_key', "'status'", 'dictionary', 'status_id']) }}
    end as record_key
from staged
union all
select
    source_key,
    'products' as entity,
    'dim_products' as dimension,
    {{ hash_key(['source_key', "'product'", 'product_id']) }} as record_key
from products
