-- Q8: extensions that several employees hold, and people who are in two talks at once.
with calls as (
    select
        *,
        {{ shown_call_id() }} as shown_id
    from {{ ref('fct_calls') }}
),

overlapping as (
    select * from {{ ref('int_overlapping_talks') }}
),

calls_on_shared_lines as (
    select * from {{ ref('int_calls_on_shared_lines') }}
),

holders as (
    select * from {{ ref('int_extension_holders') }}
    where is_employed
),

cards as (
    select * from {{ ref('dim_cards') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
    where employee_kind in ('person', 'system')
),

connections as (
    select * from {{ ref('int_connections') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

-- Extensions that several hold now, or held during calls. The CRM's own extension is told once:
-- where a telephony that is tied to it has the same, that one's calls tell more.
shared_now as (
    select
        holders.source_key,
        holders.crm_source_key,
        holders.extension
    from holders
    inner join connections
        on holders.source_key = connections.source_key
        and holders.valid_from <= connections.as_of_at
        and holders.valid_to > connections.as_of_at
    group by holders.source_key, holders.crm_source_key, holders.extension
    having count(distinct holders.person_key) > 1
),

shared_extensions as (
    select
        source_key,
        extension
    from shared_now
    union
    select
        line_source_key as source_key,
        extension
    from calls_on_shared_lines
),

holder_names as (
    select
        shared_extensions.source_key,
        shared_extensions.extension,
        holders.crm_source_key,
        string_agg(distinct employees.employee_name, ', ' order by employees.employee_name)
            as employee_names
    from shared_extensions
    inner join holders
        on shared_extensions.source_key = holders.source_key
        and shared_extensions.extension = holders.extension
    inner join employees
        on holders.person_key = employees.employee_key
    group by shared_extensions.source_key, shared_extensions.extension, holders.crm_source_key
),

told_by_telephony as (
    select
        crm_source_key,
        extension
    from holder_names
    where source_key <> crm_source_key
    group by crm_source_key, extension
),

shared_line_calls as (
    select
        line_source_key as source_key,
        extension,
        count(*) as calls_count
    from calls_on_shared_lines
    group by line_source_key, extension
),

-- Calls of a connection: of the telephony its own, of the CRM those that only it has.
calls_of_lines as (
    select
        coalesce(pbx_source_key, source_key) as source_key,
        count(*) as calls_count
    from calls
    where is_external
    group by coalesce(pbx_source_key, source_key)
),

q8_shared_lines as (
    select
        'Q8' as rule_id,
        case
            when coalesce(shared_line_calls.calls_count, 0) = 0 then 'shared_extension'
            else 'shared_extension_' || rules.shared_lines
        end as finding,
        holder_names.source_key,
        'extension' as entity,
        holder_names.extension as record_id,
        null::bigint as employee_key,
        null::varchar as card_url,
        {{ facts({
            'extension': 'holder_names.extension',
            'employees': 'holder_names.employee_names',
            'connection': 'holder_names.source_key',
            'count': 'shared_line_calls.calls_count',
            'all': 'calls_of_lines.calls_count',
            'share': 'round(100.0 * shared_line_calls.calls_count / calls_of_lines.calls_count, 2)',
        }) }} as facts
    from holder_names
    cross join rules
    left join told_by_telephony
        on holder_names.source_key = told_by_telephony.crm_source_key
        and holder_names.extension = told_by_telephony.extension
    left join shared_line_calls
        on holder_names.source_key = shared_line_calls.source_key
        and holder_names.extension = shared_line_calls.extension
    left join calls_of_lines
        on holder_names.source_key = calls_of_lines.source_key
    where told_by_telephony.extension is null
),

-- One person in two talks at once: somebody else uses the account or the line.
overlapping_talks as (
    select
        overlapping.call_key,
        overlapping.is_of_legs,
        employees.employee_key,
        employees.employee_name
    from overlapping
    inner join employees
        on overlapping.talker_employee_key = employees.employee_key
),

-- A call that was handed over may overlap for each who spoke: it is named once. Without legs one
-- person spoke, and a million such calls need no grouping.
named_calls as (
    select
        call_key,
        employee_key,
        employee_name as employee_names
    from overlapping_talks
    where not is_of_legs
    union all
    select
        call_key,
        min(employee_key) as employee_key,
        string_agg(employee_name, ', ' order by employee_name) as employee_names
    from overlapping_talks
    where is_of_legs
    group by call_key
),

overlapping_calls as (
    select
        calls.source_key,
        calls.shown_id,
        cards.card_url,
        named_calls.employee_key,
        named_calls.employee_names
    from named_calls
    inner join calls
        on named_calls.call_key = calls.call_key
    left join cards
        on calls.card_key = cards.card_key
),

q8_overlapping_calls as (
    select
        'Q8' as rule_id,
        'overlapping_call' as finding,
        source_key,
        'call' as entity,
        shown_id as record_id,
        employee_key,
        card_url,
        {{ facts({'record': 'shown_id', 'employees': 'employee_names'}) }} as facts
    from overlapping_calls
)

select * from q8_shared_lines
union all
select * from q8_overlapping_calls
