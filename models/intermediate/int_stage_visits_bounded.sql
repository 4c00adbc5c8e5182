-- Stage entries as visits: half-open intervals that neither overlap nor leave gaps.
-- Order by (time, history id) as numbers; equal neighbours collapse; the first visit starts at
-- creation; a row before creation counts at creation and is flagged; zero-second visits stay.
{{ config(materialized='affected_keys', affected_by=['card_key']) }}

with entries as (
    select * from {{ ref('int_stage_entries') }}
),

cards as (
    select * from {{ ref('int_cards') }}
),

stages as (
    select * from {{ ref('int_stages') }}
),

clamped as (
    select
        entries.stage_entry_key,
        entries.source_key,
        entries.card_type,
        entries.card_key,
        entries.id_order,
        entries.entered_at as recorded_at,
        greatest(entries.entered_at, cards.created_at) as entered_at,
        entries.was_before_creation,
        cards.created_at,
        entries.pipeline_key,
        entries.stage_key,
        entries.entry_semantics,
        entries.is_inferred,
        lag(entries.stage_key) over (
            partition by entries.card_key
            order by entries.entered_at, entries.id_order
        ) as previous_stage_key
    from entries
    inner join cards
        on entries.card_key = cards.card_key
),

changes as (
    select
        *,
        row_number() over (partition by card_key order by recorded_at, id_order) as visit_number
    from clamped
    where previous_stage_key is null or previous_stage_key <> stage_key
),

started as (
    select
        *,
        case when visit_number = 1 then created_at else entered_at end as started_at
    from changes
),

bounded as (
    select
        *,
        lead(started_at) over (partition by card_key order by visit_number) as left_at,
        lead(stage_key) over (partition by card_key order by visit_number) as next_stage_key
    from started
),

-- The dictionary's semantics; a stage it does not know has its own row's.
with_semantics as (
    select
        bounded.*,
        case when stages.is_known then stages.stage_semantics else bounded.entry_semantics end
            as stage_semantics
    from bounded
    left join stages
        on bounded.stage_key = stages.stage_key
),

with_stage as (
    select
        *,
        lag(stage_semantics) over card as previous_semantics,
        lag(pipeline_key) over card as previous_pipeline_key,
        row_number() over (
            partition by card_key, stage_key
            order by visit_number
        ) as stage_visit_number
    from with_semantics
    window card as (partition by card_key order by visit_number)
),

-- A run: neighbouring visits of the same semantics in one pipeline. It dates a close, so that a
-- move from one lost stage to another doesn't.
run_starts as (
    select
        *,
        case
            when
                visit_number = 1
                or previous_semantics <> stage_semantics
                or previous_pipeline_key <> pipeline_key
                then started_at
        end as run_started_at,
        case
            when
                visit_number = 1
                or previous_semantics <> stage_semantics
                or previous_pipeline_key <> pipeline_key
                then 1
            else 0
        end as run_start
    from with_stage
),

runs as (
    select
        *,
        sum(run_start) over (
            partition by card_key order by visit_number rows unbounded preceding
        ) as run_number
    from run_starts
)

select
    stage_entry_key as stage_visit_key,
    source_key,
    card_type,
    card_key,
    pipeline_key,
    stage_key,
    previous_stage_key,
    next_stage_key,
    stage_semantics,
    visit_number,
    stage_visit_number,
    run_number,
    started_at as entered_at,
    left_at,
    coalesce(left_at, {{ end_of_time() }}) as valid_to,
    max(run_started_at) over (partition by card_key, run_number) as semantics_since_at,
    was_before_creation,
    is_inferred
from runs
