"""Marts out: what a published table must look like."""

from __future__ import annotations

from expectations.suites.boundary import Bound, Boundary

MART_BOUNDARIES: tuple[Boundary, ...] = (
    Boundary(
        "calls_have_sane_talk_and_one_method",
        "marts",
        "fct_calls",
        """
        select
            count(*) filter (where talk_seconds < 0 or talk_seconds > total_seconds)
                as impossible_talk_count,
            count(*) filter (where match_method is null) as unmatched_count,
            count(*) filter (where is_successful and not is_answered) as impossible_success_count
        from marts.fct_calls
        """,
        (
            Bound("impossible_talk_count", "talk is within the call's length", maximum=0),
            Bound("unmatched_count", "every call has a match method", maximum=0),
            Bound("impossible_success_count", "successful calls were answered", maximum=0),
        ),
        is_blocking=True,
    ),
    Boundary(
        "visits_have_no_negative_duration",
        "marts",
        "fct_stage_visits",
        "select min(duration_seconds) as shortest_seconds from marts.fct_stage_visits",
        (Bound("shortest_seconds", "no visit has a negative duration", minimum=0),),
        is_blocking=True,
    ),
    Boundary(
        "closed_deals_have_a_close_after_creation",
        "marts",
        "fct_deals",
        """
        select
            count(*) filter (where closed_at < created_at) as early_close_count,
            count(*) filter (where (deal_state = 'open') <> (closed_at is null))
                as disagreeing_count
        from marts.fct_deals
        """,
        (
            Bound("early_close_count", "no deal is closed before it is created", maximum=0),
            Bound("disagreeing_count", "closed deals, and only they, have a close", maximum=0),
        ),
        is_blocking=True,
    ),
    Boundary(
        "converted_amounts_have_the_sign_of_their_deal",
        "marts",
        "fct_deals",
        """
        select
            count(*) filter (where sign(company_amount) * sign(amount) < 0) as turned_count,
            count(*) filter (
                where currency_code = company_currency_code and company_amount <> amount
            ) as changed_count
        from marts.fct_deals
        """,
        (
            Bound("turned_count", "converting turns no amount round", maximum=0),
            Bound("changed_count", "the company's own currency is not converted", maximum=0),
        ),
        is_blocking=True,
    ),
    Boundary(
        "rows_of_products_have_a_price_or_no_amount",
        "marts",
        "fct_deal_products",
        """
        select
            count(*) filter (where amount is not null and (price is null or quantity is null))
                as priceless_amount_count,
            count(*) filter (where amount_share is not null and amount is null)
                as share_of_nothing_count
        from marts.fct_deal_products
        """,
        (
            Bound("priceless_amount_count", "an amount has a price and a quantity", maximum=0),
            Bound("share_of_nothing_count", "what has no amount has no share", maximum=0),
        ),
        is_blocking=True,
    ),
    Boundary(
        "only_present_or_folded_employees_are_reported",
        "marts",
        "fct_calls",
        """
        select count(*) as dismissed_named_count
        from marts.fct_calls as calls
        inner join marts.dim_employees as employees
            on calls.reporting_employee_key = employees.employee_key
        where employees.former_from_on <= calls.started_on
        """,
        (Bound("dismissed_named_count", "no call names a dismissed employee", maximum=0),),
        is_blocking=True,
    ),
    Boundary(
        "call_load_has_means_within_the_bands",
        "metrics",
        "metric_call_load__by_stage",
        """
        select
            min(calls_count) as fewest_calls,
            count(*) filter (where answered_count > calls_count) as impossible_answered_count,
            count(*) filter (where answered_count = 0 and talk_seconds_mean is not null)
                as mean_of_nothing_count
        from metrics.metric_call_load__by_stage
        """,
        (
            Bound("fewest_calls", "no count is negative", minimum=0),
            Bound("impossible_answered_count", "answered calls are calls", maximum=0),
            Bound("mean_of_nothing_count", "a mean without calls is null, not 0", maximum=0),
        ),
        is_blocking=True,
    ),
)
