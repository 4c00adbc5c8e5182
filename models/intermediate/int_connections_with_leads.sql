-- Connections of which any lead counts: deals of the others are requests themselves.
with leads as (
    select * from {{ ref('int_leads') }}
)

select source_key
from leads
group by source_key
