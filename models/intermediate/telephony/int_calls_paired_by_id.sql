-- Calls that the CRM and the telephony know by one id. Integrations write one id to several rows,
-- and counters of small telephones begin anew: a pair counts where each is the other's nearest, a
-- day apart at most.
{{ config(materialized='affected_keys', affected_by=['call_key']) }}

with crm_calls as (
    select * from {{ ref('int_crm_calls') }}
),

crm_links as (
    select * from {{ ref('int_bitrix24__call_links') }}
    union all
    select * from {{ ref('int_amocrm__call_links') }}
),

pbx_calls as (
    select * from {{ ref('int_pbx_calls') }}
),

legs as (
    select * from {{ ref('int_pbx_call_legs') }}
),

pbx_links as (
    select
        pbx_call_key,
        pbx_call_id as link_id
    from legs
    union
    select
        pbx_call_key,
        leg_id as link_id
    from legs
    union
    select
        pbx_call_key,
        link_id
    from legs
    where link_id is not null
),

candidates as (
    select
        crm_calls.call_key,
        crm_calls.id_order,
        pbx_calls.pbx_call_key,
        pbx_calls.source_key as pbx_source_key,
        pbx_calls.pbx_call_id,
        abs(
            {{ epoch_second('pbx_calls.started_at') }} - {{ epoch_second('crm_calls.started_at') }}
        ) as distance_seconds
    from crm_links
    inner join pbx_links
        on crm_links.link_id = pbx_links.link_id
    inner join crm_calls
        on crm_links.call_key = crm_calls.call_key
    inner join pbx_calls
        on pbx_links.pbx_call_key = pbx_calls.pbx_call_key
        and crm_calls.source_key = pbx_calls.crm_source_key
    group by
        crm_calls.call_key, crm_calls.id_order, crm_calls.started_at, pbx_calls.pbx_call_key,
        pbx_calls.source_key, pbx_calls.pbx_call_id, pbx_calls.started_at
),

ranked as (
    select
        *,
        row_number() over (
            partition by call_key
            order by distance_seconds, pbx_source_key, length(pbx_call_id), pbx_call_id
        ) as crm_choice,
        row_number() over (
            partition by pbx_call_key
            order by distance_seconds, id_order
        ) as pbx_choice
    from candidates
    where distance_seconds <= 86400
)

select
    call_key,
    pbx_call_key,
    distance_seconds
from ranked
where crm_choice = 1 and pbx_choice = 1
