"""Which secrets a connection has: a webhook's or an application's, whole, and never shown."""

from __future__ import annotations

import pytest

from sources.bitrix24.credentials import Application, Webhook, portal_credentials
from sources.bitrix24.oauth import TOKEN_URL
from sources.errors import SourceError

VALUES = {
    "webhook_url": "https://p.example/rest/1/t0psecret/",
    "client_id": "local.t0psecret",
    "client_secret": "t0psecretkey",
    "refresh_token": "t0psecrettoken",
    "token_url": "https://auth.example/oauth/token/",
}


def _set(monkeypatch: pytest.MonkeyPatch, *names: str, **values: str) -> None:
    for name, value in {**{name: VALUES[name] for name in names}, **values}.items():
        monkeypatch.setenv(f"SOURCES__BITRIX24__ACME__MAIN__{name.upper()}", value)


def test_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, "webhook_url")
    assert portal_credentials("acme", "main") == Webhook(VALUES["webhook_url"])


def test_an_application_with_and_without_the_optional_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, "client_id", client_secret=" t0psecretkey\n")
    assert portal_credentials("acme", "main") == Application(
        VALUES["client_id"], VALUES["client_secret"], None, TOKEN_URL
    )
    _set(monkeypatch, "refresh_token", "token_url")
    assert portal_credentials("acme", "main") == Application(
        VALUES["client_id"],
        VALUES["client_secret"],
        VALUES["refresh_token"],
        VALUES["token_url"],
    )


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        ((), r"put webhook_url, or client_id and client_secret"),
        (("webhook_url", "client_id", "client_secret"), r"keep one of the two"),
        (("webhook_url", "refresh_token"), r"keep one of the two"),
        (("client_id",), r"has client_id but no client_secret"),
        (("client_secret",), r"has client_secret but no client_id"),
        (("refresh_token",), r"has refresh_token but no client_id and no client_secret"),
        (("token_url",), r"has token_url but no client_id and no client_secret"),
    ],
)
def test_none_both_and_half_are_said_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], remedy: str
) -> None:
    _set(monkeypatch, *names)
    with pytest.raises(SourceError, match=remedy) as caught:
        portal_credentials("acme", "main")
    assert "[sources.bitrix24.acme.main]" in str(caught.value)
    assert "t0psecret" not in str(caught.value)


@pytest.mark.parametrize(
    "token_url",
    [
        "http://auth.example/oauth/token/",
        "https://t0psecret:t0psecret@auth.example/oauth/token/",
        "https://auth.example/oauth/token/?client_secret=t0psecret",
        "ftp://auth.example/",
        "auth.example",
        "https://[auth.example/",
    ],
)
def test_an_unsafe_token_url_is_refused(monkeypatch: pytest.MonkeyPatch, token_url: str) -> None:
    _set(monkeypatch, "client_id", "client_secret", token_url=token_url)
    with pytest.raises(SourceError, match="take it out of") as caught:
        portal_credentials("acme", "main")
    assert "t0psecret" not in str(caught.value)


def test_plain_http_is_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, "client_id", "client_secret", token_url="http://127.0.0.1:8000/oauth/token/")
    found = portal_credentials("acme", "main")
    assert isinstance(found, Application)
    assert found.token_url == "http://127.0.0.1:8000/oauth/token/"


def test_a_repr_shows_no_secret() -> None:
    application = Application("local.id", "t0psecretkey", "t0psecrettoken")
    assert "t0psecret" not in f"{application!r} {Webhook(VALUES['webhook_url'])!r}"
    assert "local.id" in repr(application)
