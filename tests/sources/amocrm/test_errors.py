"""Every documented error body becomes one sentence that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sources.amocrm.errors import amo_error, blocked_error, fifty_rows_error, limit_error

ERRORS = Path(__file__).parents[2] / "data" / "amocrm" / "errors"


@pytest.mark.parametrize(
    ("name", "said", "is_refusal", "is_connection_wide"),
    [
        ("400.empty", "Request data can not be empty", False, False),
        (
            "400.validation",
            "custom_fields_values.0.field_id: The value you selected is not a valid choice; "
            "status_id: This value should be of type array",
            False,
            False,
        ),
        ("401", "make a new long-lived token", False, True),
        ("401.ru", "make a new long-lived token", False, True),
        ("402", "pay for it in amoCRM", False, True),
        ("403.scope", "lacks the right", True, False),
        ("403.signature", "lacks the right", True, False),
        ("404", "has no such list", True, False),
        ("405", "Method Not Allowed", False, False),
        ("422", "Limit 250 per page", False, False),
        ("429", "too many requests", False, False),
        ("500", "Our team are probably", False, False),
    ],
)
def test_a_documented_error_names_the_remedy(
    name: str, said: str, is_refusal: bool, is_connection_wide: bool
) -> None:
    body = json.loads((ERRORS / f"{name}.json").read_text())
    error = amo_error("shop.amocrm.ru", "shop", "leads", int(name[:3]), body)
    assert said in str(error)
    assert str(error).startswith(f"shop.amocrm.ru refused leads ({name[:3]}")
    assert str(error).endswith(".")
    assert (error.is_refusal, error.is_connection_wide) == (is_refusal, is_connection_wide)


def test_a_revoked_token_is_told_with_the_servers_hint() -> None:
    body = {"hint": "Token has been revoked", "status": 401, "title": "Unauthorized"}
    assert "(401, Token has been revoked)" in str(amo_error("h", "shop", "leads", 401, body))


def test_users_are_for_administrators() -> None:
    error = amo_error("h", "shop", "users", 403, {"status": 403})
    assert "make the token of connection 'shop' as an administrator" in str(error)
    assert "cannot be checked (Q1)" in str(error)
    assert error.is_refusal


@pytest.mark.parametrize("status", [403, 404])
def test_without_the_account_itself_nothing_can_be_read(status: int) -> None:
    error = amo_error("h", "shop", "account", status, {})
    assert error.is_connection_wide
    assert not error.is_refusal


def test_what_the_client_finds_out_itself_names_the_remedy_too() -> None:
    blocked = blocked_error("h", "shop")
    assert "stop all integrations" in str(blocked)
    assert "write to the vendor's support" in str(blocked)
    assert blocked.is_connection_wide
    assert "run again later" in str(limit_error("h", "leads", 900))
    assert "pages of 50 rows though 250 were asked for" in str(fifty_rows_error("h", "leads", 250))


@pytest.mark.parametrize("told", [None, [], {}, {"0": {"errors": None}}, [{"errors": ["x"]}], "x"])
def test_a_validation_of_another_form_does_not_hide_the_error(told: object) -> None:
    body = {"detail": "Request validation failed.", "validation-errors": told}
    assert "Request validation failed; run again" in str(amo_error("h", "s", "leads", 400, body))
