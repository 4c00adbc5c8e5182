-- amoCRM's leads are deals. Those that count: not deleted, created up to the cut. What is left out
-- is counted in int_reconciliation_by_entity.
{{ config(materialized='affected_keys', affected_by=['deal_key']) }}

with leads as (
    select * from {{ ref('stg_amocrm__leads') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

accounts as (
    select * from {{ ref('stg_amocrm__account') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

tag_sources as (
    select * from {{ ref('stg_company__tag_sources') }}
),

custom_fields as (
    select * from {{ ref('int_amocrm__custom_fields') }}
),

moves as (
    select * from {{ ref('int_amocrm__stage_moves') }}
    where not is_after_cut
),

swept as (
    select * from {{ ref('stg_amocrm__deleted_records') }}
    where entity = 'leads'
),

binned as (
    select * from {{ ref('stg_amocrm__deleted_leads') }}
),

-- A field is found by its code and by its id.
field_names as (
    select
        source_key,
        lead_id,
        field_id as custom_field,
        field_value
    from custom_fields
    union all
    select
        source_key,
        lead_id,
        field_code as custom_field,
        field_value
    from custom_fields
    where field_code is not null
),

fields_by_lead as (
    select
        source_key,
        lead_id,
        {{ json_object_of('custom_field', 'field_value') }} as custom_fields,
        max(case when custom_field = 'UTM_SOURCE' then field_value end) as utm_source,
        max(case when custom_field = 'UTM_MEDIUM' then field_value end) as utm_medium,
        max(case when custom_field = 'UTM_CAMPAIGN' then field_value end) as utm_campaign
    from field_names
    group by source_key, lead_id
),

-- The field that the company maps, by id or code.
mapped_sources as (
    select
        field_names.source_key,
        field_names.lead_id,
        max(field_names.field_value) as source_name
    from field_names
    inner join connections
        on field_names.source_key = connections.source_key
        and field_names.custom_field = connections.source_field
    group by field_names.source_key, field_names.lead_id
),

lead_tags as (
    select
        source_key,
        lead_id,
        {{ unnest_json_elements('tags') }} as tag
    from leads
    where tags is not null
),

tagged as (
    select
        lead_tags.source_key,
        lead_tags.lead_id,
        tag_sources.source_name,
        row_number() over (
            partition by lead_tags.source_key, lead_tags.lead_id
            order by tag_sources.rule_order
        ) as choice
    from lead_tags
    inner join tag_sources
        on lead_tags.source_key = tag_sources.source_key
        and {{ json_path_text('lead_tags.tag', '$.name') }} = tag_sources.tag_name
),

last_moves as (
    select
        source_key,
        lead_id,
        moved_at,
        moved_by_id,
        row_number() over (
            partition by source_key, lead_id
            order by moved_at desc, id_order desc
        ) as age
    from moves
),

flagged as (
    select
        leads.*,
        connections.as_of_at,
        connections.portal_url,
        -- What came back after it was noticed missing was restored from the recycle bin.
        leads.is_deleted
        or coalesce(leads.received_at <= swept.noticed_at, false)
        or coalesce(leads.received_at <= binned.received_at, false) as is_gone,
        leads.created_at > connections.as_of_at as is_after_cut,
        coalesce(accounts.currency_code, rules.currency_code) as account_currency_code,
        {{ json_path_integer('leads.companies', '$[0].id') }} as company_id,
        {{ json_main_id('leads.contacts') }} as contact_id
    from leads
    inner join connections
        on leads.source_key = connections.source_key
    cross join rules
    left join accounts
        on leads.source_key = accounts.source_key
    left join swept
        on leads.source_key = swept.source_key
        and leads.lead_id = swept.record_id
    left join binned
        on leads.source_key = binned.source_key
        and leads.lead_id = binned.lead_id
)

select
    {{ hash_key(['flagged.source_key', 'flagged.lead_id']) }} as deal_key,
    flagged.source_key,
    flagged.lead_id as deal_id,
    flagged.lead_id as id_order,
    null::varchar as origin_id,
    flagged.title,
    flagged.pipeline_id,
    flagged.status_id::varchar as stage_id,
    -- The same two statuses in every pipeline.
    case flagged.status_id when 142 then 'S' when 143 then 'F' else 'P' end
        as stage_semantics_code,
    null::bigint as lead_id,
    false as is_return_customer,
    flagged.account_currency_code as currency_code,
    flagged.amount,
    case
        when flagged.company_id is not null
            then {{ hash_key(["flagged.source_key", "'company'", "flagged.company_id"]) }}
        when flagged.contact_id is not null
            then {{ hash_key(["flagged.source_key", "'contact'", "flagged.contact_id"]) }}
    end as client_key,
    case
        when flagged.contact_id is not null
            then {{ hash_key(["flagged.source_key", "'contact'", "flagged.contact_id"]) }}
    end as contact_key,
    flagged.owner_id,
    flagged.created_by_id,
    last_moves.moved_by_id,
    flagged.created_at,
    flagged.modified_at,
    -- A lead that changed after the cut may have been moved then: events are read up to the cut.
    coalesce(
        flagged.closed_at,
        case when flagged.modified_at > flagged.as_of_at then flagged.modified_at end,
        last_moves.moved_at
    ) as moved_at,
    null::timestamp as planned_close_at,
    coalesce(mapped_sources.source_name, fields_by_lead.utm_source, tagged.source_name)
        as source_id,
    -- What a robot or a form has made, the system itself says by its creator.
    false as is_made_by_system,
    fields_by_lead.utm_source,
    fields_by_lead.utm_medium,
    fields_by_lead.utm_campaign,
    flagged.loss_reason_id,
    fields_by_lead.custom_fields,
    flagged.portal_url || '/leads/detail/' || flagged.lead_id as card_url,
    false as is_template,
    flagged.is_gone as is_deleted,
    flagged.is_after_cut,
    not(flagged.is_gone or flagged.is_after_cut) as is_counted,
    'leads' as entity
from flagged
left join fields_by_lead
    on flagged.source_key = fields_by_lead.source_key
    and flagged.lead_id = fields_by_lead.lead_id
left join mapped_sources
    on flagged.source_key = mapped_sources.source_key
    and flagged.lead_id = mapped_sources.lead_id
left join tagged
    on flagged.source_key = tagged.source_key
    and flagged.lead_id = tagged.lead_id
    and tagged.choice = 1
left join last_moves
    on flagged.source_key = last_moves.source_key
    and flagged.lead_id = last_moves.lead_id
    and last_moves.age = 1
