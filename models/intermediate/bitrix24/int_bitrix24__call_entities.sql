-- The record that the portal itself names on a row of the call statistics.
-- The id by kind: a condition on the call's side inside a left join is planned as a loop.
{{ config(materialized='view') }}

with call_rows as (
    select * from {{ ref('int_bitrix24__call_rows') }}
)

select
    call_key,
    call_id as row_id,
    source_key,
    case when entity_type = 'COMPANY' then entity_id end as company_id,
    case when entity_type = 'CONTACT' then entity_id end as contact_id,
    case when entity_type = 'DEAL' then entity_id end as deal_id,
    case when entity_type = 'LEAD' then entity_id end as lead_id
from call_rows
where entity_id is not null
