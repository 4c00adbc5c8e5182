-- Moves that were part of a mass move (Q14): at least `mass_move_cards` moves into one stage within
-- `mass_move_minutes`, by one actor where known.
with moves as (
    select * from {{ ref('int_stage_moves') }}
),

rules as (
    select * from {{ ref('stg_company__rules') }}
),

timed as (
    select
        moves.stage_visit_key,
        moves.card_key,
        moves.stage_key,
        moves.mover_employee_key,
        {{ epoch_second('moves.moved_at') }} as moved_second,
        {{ epoch_second('moves.moved_at') }} // (rules.mass_move_minutes * 60 + 1) as span,
        rules.mass_move_cards,
        rules.mass_move_minutes * 60 as mass_move_seconds
    from moves
    cross join rules
),

-- A window lies in two neighbouring spans of its length: where these have too few moves together,
-- none is looked for. Windows over all of six million moves take 20 times as long.
counted_spans as (
    select
        stage_key,
        mover_employee_key,
        span,
        count(*) as moves_count
    from timed
    group by stage_key, mover_employee_key, span
),

full_spans as (
    select
        stage_key,
        mover_employee_key,
        span,
        moves_count
        + greatest(
            case when lag(span) over actor = span - 1 then lag(moves_count) over actor else 0 end,
            case when lead(span) over actor = span + 1 then lead(moves_count) over actor else 0 end
        ) as moves_count
    from counted_spans
    window actor as (partition by stage_key, mover_employee_key order by span)
),

candidates as (
    select timed.*
    from timed
    inner join full_spans
        on timed.stage_key = full_spans.stage_key
        and timed.mover_employee_key is not distinct from full_spans.mover_employee_key
        and timed.span = full_spans.span
        and timed.mass_move_cards <= full_spans.moves_count
),

counted as (
    select
        *,
        count(*) over (
            partition by stage_key, mover_employee_key order by moved_second
            range between mass_move_seconds preceding and current row
        ) as moves_before
    from candidates
),

-- The fullest window that contains the move.
windows as (
    select
        stage_visit_key,
        card_key,
        mass_move_cards,
        max(moves_before) over (
            partition by stage_key, mover_employee_key order by moved_second
            range between current row and mass_move_seconds following
        ) as moves_count
    from counted
)

select
    stage_visit_key,
    card_key
from windows
where moves_count >= mass_move_cards
