-- R7. A case is one client's missed calls, from all their numbers, with no contact between; a
-- number that is nobody's stands for itself. The time to call back counts from the first of them.
-- Callers without a number can't be called back: each is a case of its own.
with calls as (
    select * from {{ ref('fct_calls') }}
    where is_external and direction in ('inbound', 'outbound')
),

legs as (
    select * from {{ ref('fct_call_legs') }}
),

deals as (
    select * from {{ ref('fct_deals') }}
),

leads as (
    select * from {{ ref('fct_leads') }}
),

clients as (
    select * from {{ ref('int_clients') }}
),

employees as (
    select * from {{ ref('dim_employees') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

coverage as (
    select * from {{ ref('int_call_coverage') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

told as (
    select
        calls.*,
        case
            when calls.client_key is not null
                then hash(calls.source_key, 'client', calls.client_key)
            when calls.phone_e164 is not null
                then hash(calls.source_key, 'number', calls.phone_e164)
        end as party_key,
        calls.direction = 'inbound' and not calls.is_answered as is_missed,
        case calls.direction
            when 'inbound' then calls.is_answered
            else calls.is_answered and calls.talk_seconds >= rules.contact_seconds
        end as is_contact
    from calls
    cross join rules
),

parties as (
    select distinct party_key
    from told
    where is_missed and party_key is not null
),

-- Contacts so far number the cases of a party. Of calls in one second the missed come first: what
-- was missed in the second of a contact was followed by it.
ordered as (
    select
        *,
        sum(is_contact::integer) over (
            partition by party_key
            order by started_at asc, is_missed desc, is_contact asc, call_key asc
            rows between unbounded preceding and current row
        ) - is_contact::integer as contacts_before
    from told
    where party_key in (select parties.party_key from parties)
),

known_cases as (
    select
        party_key,
        contacts_before,
        min_by(call_key, (started_at, call_key)) filter (where is_missed) as first_call_key,
        max_by(call_key, (started_at, call_key)) filter (where is_missed) as last_call_key,
        min(started_at) filter (where is_missed) as first_missed_at,
        max(started_at) filter (where is_missed) as last_missed_at,
        count(*) filter (where is_missed) as missed_count,
        min(call_key) filter (where is_contact) as contact_call_key,
        min(started_at) filter (where is_contact) as contacted_at
    from ordered
    group by party_key, contacts_before
    having count(*) filter (where is_missed) > 0
),

attempts as (
    select
        known_cases.first_call_key,
        count(*) as attempts_count,
        max(ordered.started_at) as last_attempt_at
    from known_cases
    inner join ordered
        on known_cases.party_key = ordered.party_key
        and known_cases.contacts_before = ordered.contacts_before
        and known_cases.first_missed_at <= ordered.started_at
    where ordered.direction = 'outbound' and not ordered.is_contact
    group by known_cases.first_call_key
),

cases as (
    select
        *,
        false as is_anonymous
    from known_cases
    union all
    select
        null as party_key,
        null as contacts_before,
        call_key as first_call_key,
        call_key as last_call_key,
        started_at as first_missed_at,
        started_at as last_missed_at,
        1 as missed_count,
        null as contact_call_key,
        null as contacted_at,
        true as is_anonymous
    from told
    where party_key is null and is_missed
),

missed as (
    select
        ordered.call_key,
        ordered.reporting_employee_key,
        ordered.is_on_shared_line,
        known_cases.first_call_key
    from ordered
    inner join known_cases
        on ordered.party_key = known_cases.party_key
        and ordered.contacts_before = known_cases.contacts_before
    where ordered.is_missed
    union all
    select
        call_key,
        reporting_employee_key,
        is_on_shared_line,
        call_key as first_call_key
    from told
    where party_key is null and is_missed
),

-- Everybody whom a call of the case rang: as its legs say, and as the CRM's row does.
rung_keys as (
    select
        missed.first_call_key,
        missed.reporting_employee_key
    from missed
    where not missed.is_on_shared_line
    union
    select
        missed.first_call_key,
        legs.reporting_employee_key
    from missed
    inner join legs
        on missed.call_key = legs.call_key
),

rung as (
    select
        rung_keys.first_call_key,
        string_agg(employees.employee_name, ', ' order by employees.employee_name)
            as rung_employees,
        count(*) as rung_count
    from rung_keys
    inner join employees
        on rung_keys.reporting_employee_key = employees.employee_key
    where employees.employee_kind <> 'nobody'
    group by rung_keys.first_call_key
),

rung_extensions as (
    select
        missed.first_call_key,
        string_agg(distinct legs.extension, ', ' order by legs.extension) as rung_extensions
    from missed
    inner join legs
        on missed.call_key = legs.call_key
    where legs.direction = 'inbound'
    group by missed.first_call_key
),

judged as (
    select
        cases.*,
        first_calls.source_key,
        first_calls.started_on as first_missed_on,
        first_calls.phone_e164,
        last_calls.client_key,
        last_calls.deal_key,
        last_calls.lead_key,
        coverage.known_until_at,
        coverage.has_missed_calls,
        cases.first_missed_at + {{ seconds('rules.callback_hours * 3600') }} as callback_until_at
    from cases
    inner join calls as first_calls
        on cases.first_call_key = first_calls.call_key
    inner join calls as last_calls
        on cases.last_call_key = last_calls.call_key
    inner join coverage
        on first_calls.source_key = coverage.source_key
    cross join rules
)

select
    {{ hash_key(['judged.source_key', "'missed case'", 'judged.first_call_key']) }}
        as missed_case_key,
    judged.source_key,
    judged.first_call_key,
    judged.first_missed_at,
    judged.first_missed_on,
    judged.last_missed_at,
    judged.missed_count::bigint as missed_count,
    coalesce(
        judged.first_missed_at >= dates.work_starts_at
        and judged.first_missed_at < dates.work_ends_at,
        false
    ) as is_working_time,
    case
        when judged.is_anonymous then 'anonymous'
        when judged.contacted_at <= judged.callback_until_at then 'in_time'
        when judged.contacted_at is not null then 'late'
        when judged.known_until_at <= judged.callback_until_at then 'pending'
        else 'lost'
    end as case_state,
    judged.callback_until_at,
    judged.contacted_at,
    judged.contact_call_key,
    contact_calls.direction as contact_direction,
    contact_calls.reporting_employee_key as contact_reporting_employee_key,
    {{ seconds_between('judged.first_missed_at', 'judged.contacted_at') }}::bigint
        as seconds_to_contact,
    coalesce(attempts.attempts_count, 0)::bigint as attempts_count,
    attempts.last_attempt_at,
    rung.rung_employees,
    coalesce(rung.rung_count, 0)::bigint as rung_employees_count,
    rung_extensions.rung_extensions,
    judged.phone_e164,
    judged.client_key,
    clients.client_name,
    clients.client_url,
    judged.deal_key,
    judged.lead_key,
    coalesce(deals.card_url, leads.card_url) as card_url,
    judged.has_missed_calls as is_complete
from judged
inner join dates
    on judged.first_missed_on = dates.date_day
left join calls as contact_calls
    on judged.contact_call_key = contact_calls.call_key
left join attempts
    on judged.first_call_key = attempts.first_call_key
left join rung
    on judged.first_call_key = rung.first_call_key
left join rung_extensions
    on judged.first_call_key = rung_extensions.first_call_key
left join clients
    on judged.client_key = clients.client_key
left join deals
    on judged.deal_key = deals.deal_key
left join leads
    on judged.lead_key = leads.lead_key
