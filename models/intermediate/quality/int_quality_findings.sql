-- Every rule computed once: register, Dagster check and gate read these rows. One row per rule and
-- offending record; the sentence names the culprit and says what to do.
with deals as (
    select * from {{ ref('fct_deals') }}
),

-- A call that only the telephony has goes by the telephony's id.
calls as (
    select
        *,
        -- An id of the telephony may be that of another call in the CRM, or in another telephony.
        coalesce(call_id::varchar, pbx_call_id || ' (' || pbx_source_key || ')') as shown_id
    from {{ ref('fct_calls') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

stages as (
    select * from {{ ref('dim_stages') }}
),

pipelines as (
    select * from {{ ref('dim_pipelines') }}
),

system_deals as (
    select * from {{ ref('int_deals') }}
),

connections as (
    select * from {{ ref('int_connections') }}
),

reconciliation as (
    select * from {{ ref('int_reconciliation_by_entity') }}
),

rejected_rows as (
    select * from {{ ref('int_rejected_rows') }}
),

pipeline_roles as (
    select * from {{ ref('stg_company__pipeline_roles') }}
),

stage_roles as (
    select * from {{ ref('stg_company__stage_roles') }}
),

dismissals as (
    select * from {{ ref('stg_company__dismissals') }}
),

employees_of_file as (
    select * from {{ ref('stg_company__employees') }}
),

talkers_of_files as (
    select
        source_key,
        'extensions.csv' as file,
        line,
        employee_id
    from {{ ref('stg_company__extensions') }}
    union all
    select
        source_key,
        'talkers.csv' as file,
        line,
        employee_id
    from {{ ref('stg_company__talkers') }}
),

unknown_in_files as (
    select * from {{ ref('int_unknown_names_in_files') }}
),

shared_lines as (
    select * from {{ ref('int_shared_line_findings') }}
),

call_codes as (
    select * from {{ ref('int_unknown_call_codes') }}
),

q1_dismissed_named as (
    select
        'Q1' as rule_id,
        calls.source_key,
        'call' as entity,
        calls.shown_id as record_id,
        calls.reporting_employee_key as employee_key,
        null as card_url,
        'Call ' || calls.shown_id || ' names a dismissed employee.' as sentence
    from calls
    inner join employees
        on calls.reporting_employee_key = employees.employee_key
    where employees.former_from_on <= calls.started_on
    union all
    select
        'Q1' as rule_id,
        visits.source_key,
        'stage_visit' as entity,
        visits.stage_visit_key::varchar as record_id,
        visits.reporting_employee_key as employee_key,
        null as card_url,
        'Stage visit ' || visits.stage_visit_key || ' names a dismissed employee.' as sentence
    from visits
    inner join employees
        on visits.reporting_employee_key = employees.employee_key
    where employees.former_from_on <= visits.entered_on
    union all
    select
        'Q1' as rule_id,
        deals.source_key,
        'deal_created' as entity,
        deals.deal_id::varchar as record_id,
        deals.reporting_employee_key as employee_key,
        deals.card_url,
        'The creation of deal ' || deals.deal_id || ' names a dismissed employee.' as sentence
    from deals
    inner join employees
        on deals.reporting_employee_key = employees.employee_key
    where employees.former_from_on <= deals.created_on
    union all
    select
        'Q1' as rule_id,
        deals.source_key,
        'deal_now' as entity,
        deals.deal_id::varchar as record_id,
        deals.current_reporting_employee_key as employee_key,
        deals.card_url,
        'Deal ' || deals.deal_id || ' names a dismissed employee as its owner now.' as sentence
    from deals
    inner join employees
        on deals.current_reporting_employee_key = employees.employee_key
    where employees.current_reporting_key <> employees.employee_key
    union all
    select
        'Q1' as rule_id,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.close_reporting_employee_key as employee_key,
        deals.card_url,
        'The close of deal ' || deals.deal_id || ' names a dismissed employee.' as sentence
    from deals
    inner join employees
        on deals.close_reporting_employee_key = employees.employee_key
    where employees.former_from_on <= deals.closed_on
),

q2_open_cards_of_dismissed as (
    select
        'Q2' as rule_id,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        'Open deal ' || deals.deal_id || ' belongs to ' || employees.employee_name
        || ', who no longer works here: hand it over.' as sentence
    from deals
    inner join employees
        on deals.owner_employee_key = employees.employee_key
    where
        deals.deal_state = 'open'
        and employees.current_reporting_key = {{ former_employees_key() }}
),

q3_dismissed_account_acts as (
    select
        'Q3' as rule_id,
        calls.source_key,
        'call' as entity,
        calls.shown_id as record_id,
        calls.talker_employee_key as employee_key,
        null as card_url,
        'Call ' || calls.shown_id || ' on ' || calls.started_on || ' ran under the account of '
        || employees.employee_name || ', dismissed'
        || coalesce(' on ' || employees.dismissed_on, ' (date unknown)')
        || ': find out who uses it.' as sentence
    from calls
    inner join employees
        on calls.talker_employee_key = employees.employee_key
    where employees.former_from_on <= calls.started_on
),

q4_missing_pipelines as (
    select
        'Q4' as rule_id,
        pipelines.source_key,
        'pipeline' as entity,
        pipelines.pipeline_id::varchar as record_id,
        null::bigint as employee_key,
        null as card_url,
        'Pipeline "' || pipelines.pipeline_name || '" has ' || count(*)
        || ' deals but is not in the list the system gives: was it deleted, or does the access '
        || 'no longer see it?' as sentence
    from pipelines
    inner join deals
        on pipelines.pipeline_key = deals.pipeline_key
    where not pipelines.is_listed and pipelines.pipeline_role <> 'ignore'
    group by pipelines.source_key, pipelines.pipeline_id, pipelines.pipeline_name
),

q5_unexplained_rows as (
    select
        'Q5' as rule_id,
        source_key,
        entity,
        source_key as record_id,
        null::bigint as employee_key,
        null as card_url,
        entity
        || ' of '
        || source_key
        || ': the system reports '
        || coalesce(rows_reported, rows_raw)
        || ' rows, raw holds ' || rows_raw || ' (' || rows_deleted || ' deleted, '
        || rows_quarantined || ' in quarantine), marts miss ' || unexplained_marts_count
        || ': load again; if it stays, rows were lost.' as sentence
    from reconciliation
    where unexplained_source_count <> 0 or unexplained_marts_count <> 0
),

-- What the system refuses can't be compared with it: said here, and no offence of Q5.
unread_entities as (
    select
        'UNREAD' as rule_id,
        source_key,
        entity,
        source_key as record_id,
        null::bigint as employee_key,
        null as card_url,
        case
            when problem is not null
                then entity || ' of ' || source_key || ' cannot be checked: ' || problem
            else
                entity || ' of ' || source_key || ': ' || owners_pending
                || ' cards, tasks or calls wait to be asked for them at the next loads.'
        end as sentence
    from reconciliation
    where problem is not null or owners_pending > 0
),

q6_stage_disagrees as (
    select
        'Q6' as rule_id,
        deals.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        'Deal '
        || deals.deal_id
        || ' stands on '
        || coalesce(card_stages.stage_name, 'another stage')
        || ', its history ends on ' || history_stages.stage_name || '.' as sentence
    from deals
    inner join system_deals
        on deals.deal_key = system_deals.deal_key
    inner join connections
        on deals.source_key = connections.source_key
    inner join stages as history_stages
        on deals.stage_key = history_stages.stage_key
    left join stages as card_stages
        on system_deals.stage_key = card_stages.stage_key
    where
        deals.stage_key <> system_deals.stage_key
        and history_stages.stage_id <> '(unknown)'
        -- Cards moved after the cut are ahead of their history for a good reason.
        and (system_deals.moved_at is null or system_deals.moved_at <= connections.as_of_at)
),

q7_unlisted_stages as (
    select
        'Q7' as rule_id,
        stages.source_key,
        'stage' as entity,
        pipelines.pipeline_id || '/' || stages.stage_id as record_id,
        null::bigint as employee_key,
        null as card_url,
        'Stage "' || stages.stage_name || '" of pipeline "' || pipelines.pipeline_name
        || '" is not in the system''s dictionary, ' || count(*) || ' visits stood on it.'
            as sentence
    from stages
    inner join pipelines
        on stages.pipeline_key = pipelines.pipeline_key
    inner join visits
        on stages.stage_key = visits.stage_key
    where not stages.is_listed and stages.stage_id <> '(unknown)'
    group by
        stages.source_key, stages.stage_key, stages.stage_id, stages.stage_name,
        pipelines.pipeline_id, pipelines.pipeline_name
),

q10_wins_without_amount as (
    select
        'Q10' as rule_id,
        source_key,
        'deal' as entity,
        deal_id::varchar as record_id,
        close_owner_employee_key as employee_key,
        card_url,
        'Won deal ' || deal_id || ' has no amount.' as sentence
    from deals
    where deal_state = 'won' and coalesce(amount, 0) = 0
),

q12_history_out_of_time as (
    select
        'Q12' as rule_id,
        visits.source_key,
        'deal' as entity,
        deals.deal_id::varchar as record_id,
        deals.owner_employee_key as employee_key,
        deals.card_url,
        'Deal ' || deals.deal_id || ' has a stage entry before its creation: counted at creation.'
            as sentence
    from visits
    inner join deals
        on visits.deal_key = deals.deal_key
    where visits.was_before_creation
    group by visits.source_key, deals.deal_id, deals.owner_employee_key, deals.card_url
),

q16_absurd_length as (
    select
        'Q16' as rule_id,
        source_key,
        'call' as entity,
        shown_id as record_id,
        talker_employee_key as employee_key,
        null as card_url,
        'Call ' || shown_id || ' lasts ' || round(total_seconds / 3600.0, 1) || ' hours.'
            as sentence
    from calls
    where total_seconds > 4 * 3600
),

unknown_codes as (
    select
        'CODES' as rule_id,
        source_key,
        'call' as entity,
        code_kind || ' ' || code as record_id,
        null::bigint as employee_key,
        null as card_url,
        case code_kind
            when 'result'
                then
                    'Result "' || code || '" of ' || source_key || ' is not known (legs: '
                    || legs_count || '): such calls count as not answered, unless the CRM '
                    || 'says how they went.'
            else
                'Calls of ' || source_key || ' have no direction that is known (legs: '
                || legs_count || '): they count neither as in- nor as outbound.'
        end as sentence
    from call_codes
),

rejected as (
    select
        rule_id,
        source_key,
        entity,
        record_id,
        null::bigint as employee_key,
        null as card_url,
        sentence
    from rejected_rows
),

unknown_rules as (
    select
        'RULES' as rule_id,
        source_key,
        file as entity,
        'line ' || line as record_id,
        null::bigint as employee_key,
        null as card_url,
        file || ', line ' || line || ': the system has ' || lacking || '.' as sentence
    from unknown_in_files
    union all
    select
        'RULES' as rule_id,
        pipeline_roles.source_key,
        'pipelines.csv' as entity,
        'line ' || pipeline_roles.line as record_id,
        null::bigint as employee_key,
        null as card_url,
        'pipelines.csv, line ' || pipeline_roles.line || ': the system has no pipeline '
        || pipeline_roles.pipeline_id || '.' as sentence
    from pipeline_roles
    left join pipelines
        on pipeline_roles.source_key = pipelines.source_key
        and pipeline_roles.pipeline_id = pipelines.pipeline_id
    where pipelines.pipeline_key is null
    union all
    select
        'RULES' as rule_id,
        stage_roles.source_key,
        'stages.csv' as entity,
        'line ' || stage_roles.line as record_id,
        null::bigint as employee_key,
        null as card_url,
        'stages.csv, line ' || stage_roles.line || ': pipeline ' || stage_roles.pipeline_id
        || ' has no stage ' || stage_roles.stage_id || '.' as sentence
    from stage_roles
    left join stages
        on {{ hash_key([
            'stage_roles.source_key', 'stage_roles.pipeline_id', 'stage_roles.stage_id'
        ]) }}
        = stages.stage_key
    where stages.stage_key is null
    union all
    select
        'RULES' as rule_id,
        employees_of_file.source_key,
        'employees.csv' as entity,
        'line ' || employees_of_file.line as record_id,
        null::bigint as employee_key,
        null as card_url,
        'employees.csv, line ' || employees_of_file.line || ': the system has no employee '
        || employees_of_file.employee_id || '.' as sentence
    from employees_of_file
    left join employees
        on employees_of_file.source_key = employees.source_key
        and employees_of_file.employee_id = employees.employee_id
    where employees.employee_key is null
    union all
    select
        'RULES' as rule_id,
        talkers_of_files.source_key,
        talkers_of_files.file as entity,
        'line ' || talkers_of_files.line as record_id,
        null::bigint as employee_key,
        null as card_url,
        talkers_of_files.file || ', line ' || talkers_of_files.line || ': '
        || coalesce(connections.crm_source_key, 'the company') || ' has no employee '
        || talkers_of_files.employee_id || '.' as sentence
    from talkers_of_files
    inner join connections
        on talkers_of_files.source_key = connections.source_key
    left join employees
        on connections.crm_source_key = employees.source_key
        and talkers_of_files.employee_id = employees.employee_id
    where employees.employee_key is null
    union all
    select
        'RULES' as rule_id,
        dismissals.source_key,
        'dismissals.csv' as entity,
        'line ' || dismissals.line as record_id,
        null::bigint as employee_key,
        null as card_url,
        'dismissals.csv, line ' || dismissals.line || ': the system has no employee '
        || dismissals.employee_id || '.' as sentence
    from dismissals
    left join employees
        on dismissals.source_key = employees.source_key
        and dismissals.employee_id = employees.employee_id
    where employees.employee_key is null
),

found as (
    select * from q1_dismissed_named
    union all
    select * from q2_open_cards_of_dismissed
    union all
    select * from q3_dismissed_account_acts
    union all
    select * from q4_missing_pipelines
    union all
    select * from q5_unexplained_rows
    union all
    select * from unread_entities
    union all
    select * from q6_stage_disagrees
    union all
    select * from q7_unlisted_stages
    union all
    select * from shared_lines
    union all
    select * from q10_wins_without_amount
    union all
    select * from q12_history_out_of_time
    union all
    select * from q16_absurd_length
    union all
    select * from unknown_codes
    union all
    select * from rejected
    union all
    select * from unknown_rules
)

-- What a connection had that was removed from the rules since is nobody's to mend; what is of no
-- single connection is.
select
    found.rule_id,
    found.source_key,
    found.entity,
    found.record_id,
    found.employee_key,
    found.card_url,
    found.sentence
from found
left join connections
    on found.source_key = connections.source_key
    and connections.is_configured
where connections.source_key is not null or found.source_key = '(all)'
