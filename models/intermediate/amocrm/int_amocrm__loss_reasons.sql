-- The account's dictionary of reasons why leads are lost.
{{ config(materialized='view') }}

with loss_reasons as (
    select * from {{ ref('stg_amocrm__loss_reasons') }}
),

connections as (
    select * from {{ ref('int_connections') }}
)

select
    loss_reasons.source_key,
    loss_reasons.loss_reason_id,
    loss_reasons.loss_reason_name,
    loss_reasons.received_at >= connections.as_of_at as is_listed
from loss_reasons
inner join connections
    on loss_reasons.source_key = connections.source_key
