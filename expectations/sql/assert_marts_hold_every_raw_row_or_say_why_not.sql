{{ config(meta={'dagster': {'ref': {'name': 'int_reconciliation_by_entity'}}}) }}
-- Our own arithmetic of Q5: raw = marts + every counted reason for leaving a row out, and no list
-- of a load is left out of the account.
select *
from {{ ref('int_reconciliation_by_entity') }}
where unexplained_marts_count <> 0 or (rows_raw > 0 and rows_held is null)
