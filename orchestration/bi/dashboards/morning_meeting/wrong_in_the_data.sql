select
    rule_id,
    sentence,
    responsible_name,
    remedy,
    card_url,
    first_seen_at,
    as_of_at
from marts.fct_data_quality_issues
where
    issue_state <> 'closed'
    and not is_accepted
    [[and responsible_name = {{employee}}]]
order by is_blocking desc, first_seen_at desc, issue_key
limit 500
