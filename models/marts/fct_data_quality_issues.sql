with findings as (
    select * from {{ ref('int_quality_findings') }}
),

rules as (
    select * from {{ ref('data_quality_rules') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
)

select
    {{ hash_key([
        'findings.rule_id', 'findings.source_key', 'findings.entity', 'findings.record_id',
    ]) }}
        as issue_key,
    findings.rule_id,
    rules.rule_name,
    rules.severity,
    rules.is_blocking,
    findings.source_key,
    findings.entity,
    findings.record_id,
    employees.employee_name as culprit_name,
    findings.card_url,
    findings.sentence
from findings
inner join rules
    on findings.rule_id = rules.rule_id
left join employees
    on findings.employee_key = employees.employee_key
