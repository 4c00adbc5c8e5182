"""From the secrets to a portal: webhooks, applications and what the command says about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.connections import connector_of, find_connection, load_options
from orchestration.settings import Settings
from sources.demo.amocrm.oauth import AmoOAuth
from sources.demo.amocrm.portal import AmoPortal
from sources.demo.oauth import OAuthServer
from sources.demo.portal import Portal
from sources.demo.server import serve_in_thread
from sources.errors import InputError
from sources.tokens import token_file
from tests.support.amo_accounts import make_account
from tests.support.companies import make_company
from tests.support.portals import make_portal

SECRETS = "SOURCES__BITRIX24__ACME__MAIN__"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = make_company(tmp_path, "acme")
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(made.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(made.data_root))
    return made


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[Portal, str]]:
    with make_portal(tmp_path / "portal.sqlite") as store:
        portal = Portal(store, oauth=OAuthServer("local.1", "s3cr3t"))
        with serve_in_thread(portal) as address:
            yield portal, address.partition("/rest/")[0]


def authorise(code: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["authorise", "--company=acme", "--connection=main", f"--code={code}"]
    )
    return result.exit_code, " ".join(result.output.split())


def test_an_application_is_authorised_by_its_code_and_then_read(
    settings: Settings, portal: tuple[Portal, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, address = portal
    assert served.oauth is not None
    monkeypatch.setenv(f"{SECRETS}CLIENT_ID", "local.1")
    monkeypatch.setenv(f"{SECRETS}CLIENT_SECRET", "s3cr3t")
    monkeypatch.setenv(f"{SECRETS}TOKEN_URL", f"{address}/oauth/token/")
    sent_to = served.oauth.authorize({"client_id": "local.1", "state": ""})
    (code,) = parse_qs(urlsplit(sent_to).query)["code"]
    status, said = authorise(code)
    assert (status, f"Authorised for {address}/rest/" in said) == (0, True), said
    assert token_file(settings.data_dir, "bitrix24", "main").stat().st_mode & 0o777 == 0o600
    served.oauth.expire_access_tokens()
    connector = connector_of(settings, find_connection(settings, "main"))
    assert connector.cut().reported["deals"].rows == 0
    assert served.oauth.refreshes == 1


def test_a_webhook_needs_no_authorisation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{SECRETS}WEBHOOK_URL", "https://acme.bitrix24.example/rest/1/s3cr3t/")
    status, said = authorise("any")
    assert status == 1
    assert "uses a webhook, which needs no authorisation" in said
    assert "s3cr3t" not in said


def test_an_unknown_connection_is_told_with_the_known_ones(settings: Settings) -> None:
    with pytest.raises(
        InputError, match=r"no connection 'other'; company.toml names bitrix24:main"
    ):
        find_connection(settings, "other")


def test_the_companys_rules_reach_client_connector_and_load(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{SECRETS}WEBHOOK_URL", "https://acme.bitrix24.example/rest/1/s3cr3t/")
    rules = settings.company_dir / "company.toml"
    rules.write_text(
        rules.read_text().replace(
            "[connections.bitrix24.main]",
            "[connections.bitrix24.main]\nsmart_processes = [177]\nowners_per_load = 7\n"
            "loss_threshold_share = 0.6\n",
        )
    )
    main = find_connection(settings, "main")
    assert "smart_items_177" in {entity.name for entity in connector_of(settings, main).entities}
    options = load_options(settings, main, sweeps=True)
    assert (options.owners_per_load, options.loss_threshold_share, options.sweeps) == (7, 0.6, True)
    assert options.archive_dir == settings.archive_dir


def test_an_integration_of_an_account_is_authorised_by_its_code_and_then_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_company(tmp_path, "acme", ["amocrm:main"])
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(settings.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(settings.data_root))
    with make_account(tmp_path / "account.sqlite") as store:
        served = AmoPortal(store, oauth=AmoOAuth("id", "s3cr3t", "https://acme.example/back"))
        assert served.oauth is not None
        with serve_in_thread(served) as address:
            for name, value in {
                "ACCOUNT_URL": address,
                "CLIENT_ID": "id",
                "CLIENT_SECRET": "s3cr3t",
                "REDIRECT_URI": "https://acme.example/back",
            }.items():
                monkeypatch.setenv(f"SOURCES__AMOCRM__ACME__MAIN__{name}", value)
            status, said = authorise(served.oauth.code())
            assert (status, "Authorised for" in said) == (0, True), said
            assert token_file(settings.data_dir, "amocrm", "main").stat().st_mode & 0o777 == 0o600
            connector = connector_of(settings, find_connection(settings, "main"))
            assert connector.cut().refused == {}
            connector.close()


def test_a_long_lived_token_needs_no_authorisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_company(tmp_path, "acme", ["amocrm:main"])
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(settings.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(settings.data_root))
    monkeypatch.setenv("SOURCES__AMOCRM__ACME__MAIN__ACCOUNT_URL", "https://acme.amocrm.ru")
    monkeypatch.setenv("SOURCES__AMOCRM__ACME__MAIN__ACCESS_TOKEN", "s3cr3t")
    status, said = authorise("any")
    assert status == 1
    assert "uses a long-lived token, which needs no authorisation" in said
    assert "s3cr3t" not in said


def test_connections_of_one_name_are_told_apart_by_their_system(tmp_path: Path) -> None:
    settings = make_company(tmp_path, "acme", ["main", "amocrm:main", "amocrm:second"])
    assert find_connection(settings, "amocrm:main").system == "amocrm"
    assert find_connection(settings, "second").source_key == "amocrm:second"
    with pytest.raises(InputError, match=r"'main': say bitrix24:main or amocrm:main"):
        find_connection(settings, "main")
