-- Rules that can't be checked at a connection, or not all of it. Who no longer works there is told
-- by the list of users alone, which amoCRM shows to administrators only; how many rows a list has
-- is told by some systems, and by amoCRM at a sweep.
with load_log as (
    select * from {{ ref('int_load_log') }}
),

connections as (
    select * from {{ ref('int_connections') }}
    where is_configured
),

reconciliation as (
    select * from {{ ref('int_reconciliation_by_entity') }}
),

company_rules as (
    select * from {{ ref('stg_company__rules') }}
),

sentences as (
    select * from {{ ref('finding_sentences') }}
),

unlisted_users as (
    select
        load_log.source_key,
        {{ facts({'connection': 'load_log.source_key'}) }} as facts
    from load_log
    inner join connections
        on load_log.source_key = connections.source_key
        and load_log.cut_at = connections.as_of_at
    where load_log.entity = 'users' and load_log.problem is not null
),

lists_not_compared as (
    select
        reconciliation.source_key,
        {{ facts({
            'connection': 'reconciliation.source_key',
            'entities': "string_agg(reconciliation.entity, ', ' order by reconciliation.entity)",
        }) }} as facts
    from reconciliation
    inner join connections
        on reconciliation.source_key = connections.source_key
    where reconciliation.source_check_state = 'cannot_be_checked'
    group by reconciliation.source_key
),

unchecked as (
    {% for rule_id in ('Q1', 'Q2', 'Q3') %}
    select
        '{{ rule_id }}' as rule_id,
        'users_not_listed' as finding,
        true as is_whole_rule,
        source_key,
        facts
    from unlisted_users
    union all
    {% endfor %}
    select
        'Q4' as rule_id,
        'missing_users_not_told' as finding,
        false as is_whole_rule,
        source_key,
        facts
    from unlisted_users
    union all
    select
        'Q5' as rule_id,
        'lists_not_compared' as finding,
        false as is_whole_rule,
        source_key,
        facts
    from lists_not_compared
)

select
    unchecked.rule_id,
    unchecked.source_key,
    unchecked.is_whole_rule,
    {{ filled_sentence('sentences.sentence', 'unchecked.facts') }} as sentence
from unchecked
cross join company_rules
inner join sentences
    on unchecked.finding = sentences.finding
    and company_rules.language = sentences.language
