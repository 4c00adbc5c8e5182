-- What is wrong now, and what was (R22). What earlier builds found is kept by dbt's macro
-- keep_findings before the models run (decision 0020); seen now and last seen are as-of.
{% set told = ['rule_id', 'finding', 'source_key', 'entity', 'record_id', 'employee_key',
    'card_url', 'facts'] %}

with findings as (
    select * from {{ ref('int_quality_findings') }}
),

kept_events as (
    select * from {{ ref('stg_derived__finding_events') }}
),

rules as (
    select * from {{ ref('data_quality_rules') }}
),

texts as (
    select * from {{ ref('data_quality_texts') }}
),

sentences as (
    select * from {{ ref('finding_sentences') }}
),

-- Of two lines that mean the same record the one that names the entity counts.
accepted as (
    select
        findings.issue_key,
        lines.accepted_until_on,
        lines.accepted_by,
        lines.accepted_reason
    from findings
    inner join {{ ref('stg_company__accepted_findings') }} as lines
        on findings.rule_id = lines.rule_id
        and findings.source_key = lines.source_key
        and findings.record_id = lines.record_id
        and findings.entity = coalesce(lines.entity, findings.entity)
    qualify row_number() over (
        partition by findings.issue_key
        order by lines.entity nulls last
    ) = 1
),

company_rules as (
    select * from {{ ref('stg_company__rules') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

responsible as (
    select * from {{ ref('int_responsible_employees') }}
),

as_of as (
    select
        max(report_as_of_at) as report_as_of_at,
        max(report_as_of_on) as report_as_of_on
    from {{ ref('int_connections') }}
),

-- The newest build but this one, if anything was open then: when what is gone now was last seen.
earlier_builds as (
    select max(happened_at) as last_seen_at
    from kept_events
    where event = 'seen'
),

-- Numbers of events, not what these tell: a million wide groups would not fit into memory.
kept as (
    select
        issue_key,
        min(happened_at) as first_seen_at,
        count(*) filter (where event = 'found') as found_count,
        max(event_number) filter (where event = 'found') as found_event_number,
        max(event_number) filter (where event = 'gone') as gone_event_number,
        max(happened_at) filter (where event = 'found') as last_found_at,
        max(happened_at) filter (where event = 'gone') as closed_at,
        max(last_seen_at) as last_seen_at
    from kept_events
    where event in ('found', 'gone')
    group by issue_key
),

known as (
    select
        *,
        coalesce(gone_event_number > found_event_number, false) as was_gone
    from kept
),

open_now as (
    select
        findings.issue_key,
        {% for column in told %}
        findings.{{ column }},
        {% endfor %}
        coalesce(known.first_seen_at, as_of.report_as_of_at) as first_seen_at,
        as_of.report_as_of_at as last_seen_at,
        null::timestamp as closed_at,
        case
            when known.was_gone then as_of.report_as_of_at
            when known.found_count > 1 then known.last_found_at
        end as reopened_at
    from findings
    cross join as_of
    left join known
        on findings.issue_key = known.issue_key
),

gone as (
    select
        known.issue_key,
        {% for column in told %}
        kept_events.{{ column }},
        {% endfor %}
        known.first_seen_at,
        case when known.was_gone then known.last_seen_at else earlier_builds.last_seen_at end
            as last_seen_at,
        case when known.was_gone then known.closed_at else as_of.report_as_of_at end as closed_at,
        case when known.found_count > 1 then known.last_found_at end as reopened_at
    from known
    cross join as_of
    cross join earlier_builds
    inner join kept_events
        on known.found_event_number = kept_events.event_number
    left join findings
        on known.issue_key = findings.issue_key
    where findings.issue_key is null
),

issues as (
    select * from open_now
    union all
    select * from gone
)

select
    issues.issue_key,
    issues.rule_id,
    rules.rule_name,
    texts.title as rule_title,
    rules.severity,
    rules.is_blocking,
    case
        when issues.closed_at is not null then 'closed'
        when issues.reopened_at is not null then 'reopened'
        else 'open'
    end as issue_state,
    issues.source_key,
    issues.entity,
    issues.record_id,
    issues.finding,
    employees.employee_name as culprit_name,
    responsible_employees.employee_name as responsible_name,
    responsible.responsible_employee_key,
    coalesce(responsible.responsible_basis, 'nobody') as responsible_basis,
    issues.card_url,
    {{ filled_sentence('sentences.sentence', 'issues.facts') }} as sentence,
    texts.remedy,
    issues.first_seen_at,
    issues.last_seen_at,
    issues.closed_at,
    issues.reopened_at,
    coalesce(accepted.accepted_until_on >= as_of.report_as_of_on, false) as is_accepted,
    accepted.accepted_until_on,
    accepted.accepted_by,
    accepted.accepted_reason
from issues
cross join as_of
cross join company_rules
inner join rules
    on issues.rule_id = rules.rule_id
inner join texts
    on issues.rule_id = texts.rule_id
    and company_rules.language = texts.language
left join sentences
    on issues.finding = sentences.finding
    and company_rules.language = sentences.language
left join employees
    on issues.employee_key = employees.employee_key
left join responsible
    on issues.employee_key = responsible.employee_key
left join employees as responsible_employees
    on responsible.responsible_employee_key = responsible_employees.employee_key
left join accepted
    on issues.issue_key = accepted.issue_key
