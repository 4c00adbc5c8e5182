"""Secrets of an amoCRM connection: from dlt's providers, whole or with the remedy."""

from __future__ import annotations

import pytest

from sources.amocrm.credentials import Application, LongLived, account_credentials
from sources.errors import SourceError

PREFIX = "SOURCES__AMOCRM__DEMO__SHOP__"
URL = "https://shop.amocrm.ru"
KEYS = {"client_id": "id", "client_secret": "t0psecret", "redirect_uri": "https://a.example/"}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def set_all(given: pytest.MonkeyPatch, **secrets: str) -> None:
    for name, value in secrets.items():
        given.setenv(f"{PREFIX}{name.upper()}", value)


def test_a_long_lived_token(given: pytest.MonkeyPatch) -> None:
    set_all(given, account_url=URL, access_token=" t0psecret ")
    found = account_credentials("demo", "shop")
    assert found == LongLived(URL, "t0psecret")
    assert "t0psecret" not in repr(found)


def test_an_application_with_and_without_its_first_refresh_token(
    given: pytest.MonkeyPatch,
) -> None:
    set_all(given, account_url=URL, **KEYS)
    assert account_credentials("demo", "shop") == Application(URL, *KEYS.values(), None)
    set_all(given, refresh_token="t0psecret-seed")
    found = account_credentials("demo", "shop")
    assert found == Application(URL, *KEYS.values(), "t0psecret-seed")
    assert "t0psecret" not in repr(found)


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "has no secrets: put account_url and access_token"),
        ({"account_url": URL}, "has no secrets"),
        ({"access_token": "t0psecret"}, "has no account_url of the form"),
        ({"account_url": "http://shop.amocrm.ru", "access_token": "x"}, "Plain http is only"),
        ({"account_url": URL, "access_token": "x", "client_id": "y"}, "has both"),
        ({"account_url": URL, "client_id": "y"}, "no client_secret and no redirect_uri"),
        ({"account_url": URL, "refresh_token": "y"}, "no client_id and no client_secret"),
    ],
)
def test_half_of_them_name_the_remedy(
    given: pytest.MonkeyPatch, secrets: dict[str, str], said: str
) -> None:
    set_all(given, **secrets)
    with pytest.raises(SourceError, match=said) as refused:
        account_credentials("demo", "shop")
    assert "t0psecret" not in str(refused.value)
    assert "[sources.amocrm.demo.shop]" in str(refused.value)
