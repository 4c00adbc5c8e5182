-- R5's call register: every external call, with what it was about. A view: as many rows as calls,
-- and nothing that the facts don't hold.
{{ config(materialized='view') }}

with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

stages as (
    select * from {{ ref('dim_stages') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

clients as (
    select * from {{ ref('dim_clients') }}
)

select
    calls.call_key,
    calls.source_key,
    calls.started_at,
    calls.started_on,
    calls.direction,
    calls.call_result,
    calls.is_answered,
    calls.is_successful,
    calls.wait_seconds,
    calls.talk_seconds,
    {{ talk_band('calls.talk_seconds') }} as talk_band,
    calls.talk_basis,
    calls.reporting_employee_key,
    employees.employee_name,
    employees.department_name,
    calls.talker_basis,
    calls.phone_e164,
    calls.client_key,
    clients.client_url,
    calls.is_shared_number,
    calls.match_method,
    calls.is_ambiguous,
    calls.card_type,
    calls.card_key,
    coalesce(deals.card_url, leads.card_url) as card_url,
    calls.pipeline_key,
    pipelines.pipeline_name,
    calls.stage_key,
    stages.stage_name,
    calls.call_sources,
    calls.recording_url
from calls
left join deals
    on calls.deal_key = deals.deal_key
left join leads
    on calls.lead_key = leads.lead_key
left join pipelines
    on calls.pipeline_key = pipelines.pipeline_key
left join stages
    on calls.stage_key = stages.stage_key
left join employees
    on calls.reporting_employee_key = employees.employee_key
left join clients
    on calls.client_key = clients.client_key
