-- Rules that can't be checked at a connection: who no longer works there is told by the list of
-- users alone, which amoCRM shows to administrators only.
with load_log as (
    select * from {{ ref('int_load_log') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_configured
),

rules as (
    select * from {{ ref('data_quality_rules') }}
),

company_rules as (
    select * from {{ ref('stg_company__rules') }}
),

sentences as (
    select * from {{ ref('finding_sentences') }}
    where finding = 'users_not_listed'
),

unchecked as (
    select
        rules.rule_id,
        load_log.source_key,
        {{ facts({'connection': 'load_log.source_key'}) }} as facts
    from load_log
    inner join connections
        on load_log.source_key = connections.source_key
        and load_log.cut_at = connections.as_of_at
    cross join rules
    where
        load_log.entity = 'users'
        and load_log.problem is not null
        and rules.rule_id in ('Q1', 'Q2', 'Q3')
)

select
    unchecked.rule_id,
    unchecked.source_key,
    {{ filled_sentence('sentences.sentence', 'unchecked.facts') }} as sentence
from unchecked
cross join company_rules
inner join sentences
    on company_rules.language = sentences.language
