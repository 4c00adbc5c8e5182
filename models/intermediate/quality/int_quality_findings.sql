-- Every rule computed once: register, Dagster check and gate read these rows. One row per rule,
-- what was found and offending record; `facts` name the culprit, `finding_sentences` say them in
-- the company's language.
{% set findings = [
    'int_findings_on_former_employees',
    'int_findings_on_dictionaries',
    'int_findings_on_loads',
    'int_findings_on_cards',
    'int_findings_on_calls',
    'int_findings_on_rules',
] %}

with connections as (
    select * from {{ ref('int_connections') }}
),

found as (
    {% for model in findings %}
    select * from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

-- What a connection had that was removed from the rules since is nobody's to mend; what is of no
-- single connection is.
select
    {{ hash_key([
        'found.rule_id', 'found.finding', 'found.source_key', 'found.entity', 'found.record_id',
    ]) }}
        as issue_key,
    found.rule_id,
    found.finding,
    found.source_key,
    found.entity,
    found.record_id,
    found.employee_key,
    found.card_url,
    found.facts
from found
left join connections
    on found.source_key = connections.source_key
    and connections.is_configured
where connections.source_key is not null or found.source_key = '(all)'
