-- Without numbers: whoever dials reads them in the CRM, behind the link. A call that rang nobody in
-- particular is everybody's.
select
    first_missed_at,
    case_state,
    missed_count,
    rung_employees,
    is_working_time,
    attempts_count,
    client_url,
    card_url,
    callback_until_at,
    as_of_at
from marts.metric_missed_calls__by_case
where
    case_state in ('lost', 'pending')
    [[and (
        rung_employees is null
        or strpos(', ' || rung_employees || ', ', ', ' || {{employee}} || ', ') > 0
    )]]
order by first_missed_at desc, missed_case_key
limit 200
