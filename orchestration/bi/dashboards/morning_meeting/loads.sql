select
    source_key,
    list_name,
    last_load_at,
    reported_rows_count,
    raw_rows_count,
    mart_rows_count,
    unexplained_source_rows_count,
    source_check_state,
    problem,
    connection_as_of_at,
    as_of_at
from marts.metric_reconciliation__by_entity
order by source_key, list_name
