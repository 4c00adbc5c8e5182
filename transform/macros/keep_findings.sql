{#-
    Keeps what the register of the last build tells that no later build could find out: when each
    finding was found and when it was gone. One row per event; a row `seen`, of no finding, tells
    until when the open ones were seen. What is of no single connection is archived with the first
    one (`source_key`). Written before the models run, so that a table of models
    never reads what it writes (decision 0020).
-#}
{% macro keep_findings() -%}
    {%- do run_query(
        'create table if not exists raw_derived.finding_events ('
        'event_number bigint, event varchar, happened_at timestamptz, last_seen_at timestamptz, '
        'source_key varchar, issue_key bigint, rule_id varchar, finding varchar, '
        'issue_source_key varchar, entity varchar, record_id varchar, employee_key bigint, '
        'card_url varchar, facts varchar)'
    ) -%}
    {%- set register = load_relation(api.Relation.create(
        database=target.database, schema='marts', identifier='fct_data_quality_issues'
    )) -%}
    {%- set findings = load_relation(api.Relation.create(
        database=target.database, schema='intermediate', identifier='int_quality_findings'
    )) -%}
    {%- set columns = [] if register is none
        else adapter.get_columns_in_relation(register) | map(attribute='name') | list -%}
    {#- A register of before findings were kept tells no times. -#}
    {%- if 'first_seen_at' in columns and findings is not none -%}
        {%- do run_query(news_of_findings(register, findings)) -%}
    {%- endif -%}
{%- endmacro %}

{% macro news_of_findings(register, findings) -%}
insert into raw_derived.finding_events
with kept as (
    select
        issue_key,
        max(event_number) filter (where event = 'gone')
        is not distinct from max(event_number) as is_gone
    from raw_derived.finding_events
    where event in ('found', 'gone')
    group by issue_key
),

news as (
    select
        'found' as event,
        coalesce(issues.reopened_at, issues.first_seen_at) as happened_at,
        null::timestamp as last_seen_at,
        findings.*
    from {{ register }} as issues
    inner join (
        select issue_key, rule_id, finding, source_key as issue_source_key, entity, record_id,
            employee_key, card_url, to_json(facts)::varchar as facts
        from {{ findings }}
    ) as findings
        on issues.issue_key = findings.issue_key
    left join kept
        on issues.issue_key = kept.issue_key
    where issues.closed_at is null and coalesce(kept.is_gone, true)
    union all by name
    select
        'gone' as event,
        issues.closed_at as happened_at,
        issues.last_seen_at,
        issues.issue_key,
        issues.source_key as issue_source_key
    from {{ register }} as issues
    inner join kept
        on issues.issue_key = kept.issue_key
        and not kept.is_gone
    where issues.closed_at is not null
    union all by name
    select
        'seen' as event,
        max(last_seen_at) as happened_at
    from {{ register }}
    where closed_at is null
    having
        max(last_seen_at) > coalesce(
            (
                select max(timezone('UTC', happened_at)) from raw_derived.finding_events
                where event = 'seen'
            ),
            timestamp '1900-01-01'
        )
)

select
    (select coalesce(max(event_number), 0) from raw_derived.finding_events)
    + row_number() over (order by event, issue_key) as event_number,
    event,
    timezone('UTC', happened_at) as happened_at,
    timezone('UTC', last_seen_at) as last_seen_at,
    case
        when issue_source_key <> '(all)' then issue_source_key
        else (select min(source_key) from raw_company.connections)
    end as source_key,
    issue_key,
    rule_id,
    finding,
    issue_source_key,
    entity,
    record_id,
    employee_key,
    card_url,
    facts
from news
{%- endmacro %}
