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
)

select
    rules.rule_id,
    load_log.source_key,
    'Cannot be checked for ' || load_log.source_key || ', whose users the access may not list: '
    || 'give it an administrator''s rights, or write who has left into dismissals.csv.' as sentence
from load_log
inner join connections
    on load_log.source_key = connections.source_key
    and load_log.cut_at = connections.as_of_at
cross join rules
where
    load_log.entity = 'users'
    and load_log.problem is not null
    and rules.rule_id in ('Q1', 'Q2', 'Q3')
