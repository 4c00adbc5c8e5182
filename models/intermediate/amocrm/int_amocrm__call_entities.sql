-- The card on which a call was noted.
-- The id by kind: a condition on the call's side inside a left join is planned as a loop.
{{ config(materialized='view') }}

with call_rows as (
    select * from {{ ref('int_amocrm__call_rows') }}
)

select
    call_key,
    note_id as row_id,
    source_key,
    case when entity_type = 'companies' then entity_id end as company_id,
    case when entity_type = 'contacts' then entity_id end as contact_id,
    case when entity_type = 'leads' then entity_id end as deal_id,
    -- amoCRM's leads are deals.
    null::bigint as lead_id
from call_rows
