"""Alerts: told once, told when over, never lost, without secrets and clients' phones."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    Definitions,
    Failure,
    MaterializeResult,
    MetadataValue,
    SensorDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
    asset,
    build_sensor_context,
    define_asset_job,
)
from pydantic import SecretStr
from typer.testing import CliRunner

from orchestration.alerts import sensors
from orchestration.alerts.delivery import Address, addresses_of, problem_of
from orchestration.alerts.messages import ITEMS_SHOWN, Teller
from orchestration.alerts.sensors import alert_sensors
from orchestration.alerts.state import News, Over, Trouble
from orchestration.alerts.texts import WORDS
from orchestration.cli import app
from orchestration.settings import PROJECT_DIR, Settings
from sources.company import read_company
from sources.masking import without_contacts
from tests.support.companies import make_company

pytestmark = pytest.mark.scattered

SECRET = "t0psecrett0ken"
DAILY = "acme__daily_refresh"
RUNS, CHECKS = "acme__run_failure_alert", "acme__check_alert"


class Catcher:
    """An HTTP server that keeps what is posted to it, or refuses."""

    def __init__(self) -> None:
        self.caught: list[dict[str, Any]] = []
        self.status = 200
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if catcher.status == 200:
                    catcher.caught.append(json.loads(body))
                self.send_response(catcher.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/{SECRET}"

    def texts(self) -> list[str]:
        """What was caught since the last look, title and body of each."""
        found = [f"{one['title']}\n{one['message']}" for one in self.caught]
        self.caught.clear()
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    made = Catcher()
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Company:
    """A company of one table with two checks, whose next run goes as it is told."""

    def __init__(
        self,
        root: Path,
        urls: str,
        language: str = "en",
        instance: DagsterInstance | None = None,
    ) -> None:
        made = make_company(root, "acme")
        rules = made.company_dir / "company.toml"
        text = rules.read_text().replace("[company]", f'[company]\nlanguage = "{language}"')
        rules.write_text(text)
        self.settings = made.model_copy(update={"alert_urls": SecretStr(urls)})
        self.problem: str | None = None
        self.bad: dict[str, AssetCheckSeverity] = {}
        self.checks = ["every_call_has_a_card", "every_deal_has_an_owner"]
        self.instance = instance or DagsterInstance.ephemeral()
        self.cursors: dict[str, str | None] = {}

    def definitions(self) -> Definitions:
        key = AssetKey(["acme", "marts", "fct_deals"])

        @asset(key=key, check_specs=[AssetCheckSpec(name, asset=key) for name in self.checks])
        def fct_deals() -> Iterator[Any]:
            if self.problem:
                raise Failure(self.problem)
            yield MaterializeResult()
            for name in self.checks:
                yield self._judged(name)

        @asset(key=AssetKey(["acme", "raw"]), deps=[])
        def raw() -> None: ...

        return Definitions(assets=[fct_deals, raw], jobs=[define_asset_job(DAILY)])

    def _judged(self, name: str) -> AssetCheckResult:
        offenders = MetadataValue.table(
            [
                TableRecord(
                    {
                        "culprit": "Boris Gone" if number < 2 else "Clara One",
                        "sentence": f"Deal {number} of +7 (900) 123-45-67 has none.",
                        "link": f"https://crm.example/crm/deal/details/79001234567{number}/",
                    }
                )
                for number in range(3)
            ],
            schema=TableSchema([TableColumn(name) for name in ("culprit", "sentence", "link")]),
        )
        return AssetCheckResult(
            check_name=name,
            passed=name not in self.bad,
            severity=self.bad.get(name, AssetCheckSeverity.WARN),
            description="Bind it; the client is 8 900 123-45-67.",
            metadata={"offenders_count": 7, "offenders": offenders},
        )

    def run(self) -> str:
        job = self.definitions().resolve_job_def(DAILY)
        return job.execute_in_process(instance=self.instance, raise_on_error=False).run_id

    def sensor(self, name: str) -> SensorDefinition:
        rules = read_company(self.settings.company_dir).rules
        return next(s for s in alert_sensors(self.settings, rules, DAILY) if s.name == name)

    def tick(self, name: str) -> str:
        context = build_sensor_context(self.instance, cursor=self.cursors.get(name))
        found = self.sensor(name).evaluate_tick(context)
        self.cursors[name] = found.cursor
        return str(found.skip_message)


@pytest.fixture
def company(tmp_path: Path, catcher: Catcher) -> Company:
    made = Company(tmp_path, catcher.url)
    for name in (RUNS, CHECKS):
        assert made.tick(name) == "Listening from now on."
    return made


def test_a_failed_run_is_told_once_until_it_is_over(tmp_path: Path, catcher: Catcher) -> None:
    # On disk, where each run has an event log of its own.
    company = Company(tmp_path, catcher.url, instance=DagsterInstance.local_temp(str(tmp_path)))
    company.tick(RUNS)
    company.problem = "The portal refuses: make a new webhook. Client +79001234567."
    first = company.run()
    assert company.tick(RUNS) == "Sent: 1."
    (told,) = catcher.texts()
    assert told.startswith("Test company: a run has failed\nFailed:\n- marts__fct_deals (error), ")
    assert "The portal refuses: make a new webhook. Client ***." in told
    assert "Reports stay as they were last published." in told
    assert told.endswith(f"Run: http://127.0.0.1:3000/runs/{first}")
    company.run()
    assert company.tick(RUNS) == "Nothing new."
    company.problem = None
    healed = company.run()
    company.tick(RUNS)
    (told,) = catcher.texts()
    assert told.startswith("Test company: over: 1\nOver:\n- marts__fct_deals: it had lasted since ")
    assert told.endswith(f"/runs/{healed}")
    assert company.tick(RUNS) == "Nothing new."
    assert catcher.texts() == []


def test_failed_checks_are_told_in_one_message_that_names_people_and_cards(
    company: Company, catcher: Catcher
) -> None:
    company.bad = {
        "every_deal_has_an_owner": AssetCheckSeverity.WARN,
        "every_call_has_a_card": AssetCheckSeverity.ERROR,
    }
    run = company.run()
    company.tick(CHECKS)
    (told,) = catcher.texts()
    lines = told.splitlines()
    assert lines[0] == "Test company: checks failed: 2"
    assert lines[2].startswith("- every_call_has_a_card (marts.fct_deals) (error), since 20")
    assert lines[2].endswith("records: 7")
    assert lines[3] == "  Bind it; the client is ***. Deal 0 of *** has none."
    assert lines[4] == "  Concerns: Boris Gone, Clara One"
    # An id as long as a phone number stays in the link: without it nobody finds the card.
    assert lines[5] == "  https://crm.example/crm/deal/details/790012345670/"
    assert lines[6].startswith("- every_deal_has_an_owner (marts.fct_deals) (warning), since 20")
    assert lines[-1] == f"Run: http://127.0.0.1:3000/runs/{run}"
    assert "123-45-67" not in json.dumps(company.cursors)


def test_a_check_is_told_again_when_it_gets_worse_or_comes_back(
    company: Company, catcher: Catcher
) -> None:
    name = "every_deal_has_an_owner"
    heads = []
    for bad in (
        {name: AssetCheckSeverity.WARN},
        {name: AssetCheckSeverity.WARN},
        {name: AssetCheckSeverity.ERROR},
        {},
        {},
        {name: AssetCheckSeverity.WARN},
    ):
        company.bad = bad
        company.run()
        company.tick(CHECKS)
        heads.append([told.splitlines()[0].partition(": ")[2] for told in catcher.texts()])
    assert heads == [["checks failed: 1"], [], ["checks failed: 1"], ["over: 1"], [], [
        "checks failed: 1"
    ]]  # fmt: skip


def test_what_comes_and_goes_between_two_ticks_is_not_told(
    company: Company, catcher: Catcher
) -> None:
    company.bad = {"every_deal_has_an_owner": AssetCheckSeverity.ERROR}
    company.run()
    company.bad = {}
    company.run()
    assert company.tick(CHECKS) == "Nothing new."
    assert catcher.texts() == []


def test_a_check_that_is_no_longer_made_is_forgotten_without_a_word(
    company: Company, catcher: Catcher
) -> None:
    company.bad = {"every_deal_has_an_owner": AssetCheckSeverity.WARN}
    company.run()
    company.tick(CHECKS)
    company.checks = ["every_call_has_a_card"]
    company.run()
    company.tick(CHECKS)
    assert len(catcher.texts()) == 1
    assert json.loads(company.cursors[CHECKS] or "")["told"] == {}


@pytest.mark.parametrize("job", ["other__daily_refresh", "__ASSET_JOB"])
def test_runs_of_other_companies_are_not_told(company: Company, catcher: Catcher, job: str) -> None:
    key = AssetKey(["other", "raw"])

    @asset(key=key, check_specs=[AssetCheckSpec("keys", asset=key)])
    def raw() -> Iterator[Any]:
        yield MaterializeResult()
        yield AssetCheckResult(check_name="keys", passed=False)
        raise Failure("not ours")

    made = Definitions(assets=[raw], jobs=[define_asset_job("other__daily_refresh")])
    made.resolve_job_def(job).execute_in_process(instance=company.instance, raise_on_error=False)
    assert [company.tick(name) for name in (RUNS, CHECKS)] == ["Nothing new.", "Nothing new."]


def test_an_address_that_refuses_is_logged_and_tried_again_alone(
    tmp_path: Path,
    catcher: Catcher,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusing = Catcher()
    refusing.status = 503
    company = Company(tmp_path, f"{catcher.url}, {refusing.url}")
    company.tick(RUNS)
    company.problem = "The portal refuses."
    company.run()
    with caplog.at_level(logging.DEBUG):
        assert company.tick(RUNS) == "Sent: 1; waiting for an address that refuses: 1."
        assert company.tick(RUNS) == "Sent: 0; waiting for an address that refuses: 1."
    log = caplog.text + capsys.readouterr().err
    assert "will be tried again. alert URL 2 (json://…): Failed to send JSON POST" in log
    assert SECRET not in log + json.dumps(company.cursors)
    refusing.status = 200
    assert company.tick(RUNS) == "Sent: 1."
    assert company.tick(RUNS) == "Nothing new."
    assert len(catcher.texts()) == len(refusing.texts()) == 1
    refusing.close()


def test_a_server_that_is_down_keeps_the_sensor_going(
    tmp_path: Path,
    catcher: Catcher,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sensors, "MESSAGES_KEPT", 2)
    catcher.close()
    company = Company(tmp_path, catcher.url)
    company.tick(RUNS)
    for _ in range(3):
        company.problem = None if company.problem else "The portal refuses."
        company.run()
        company.tick(RUNS)
    waiting = json.loads(company.cursors[RUNS] or "")["waiting"]
    assert [one["title"].partition(": ")[2] for one in waiting] == ["over: 1", "a run has failed"]
    # Apprise's own words name the host, which may be a secret too.
    assert "occurred sending JSON notification to ***." in capsys.readouterr().err


def test_mail_arrives_in_the_companys_language(tmp_path: Path) -> None:
    caught: list[tuple[list[str], bytes]] = []

    class Handler:
        async def handle_DATA(self, _: object, __: object, envelope: Any) -> str:
            caught.append((envelope.rcpt_tos, envelope.content))
            return "250 OK"

    port = free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    url = f"mailto://127.0.0.1:{port}?from=cf@acme.example&to=head@acme.example&mode=insecure"
    company = Company(tmp_path, url, language="ru")
    company.tick(CHECKS)
    company.bad = {"every_deal_has_an_owner": AssetCheckSeverity.WARN}
    company.run()
    assert company.tick(CHECKS) == "Sent: 1."
    controller.stop()
    ((to, content),) = caught
    mail = message_from_bytes(content, policy=modern)
    body = mail.get_body(("plain", "html"))
    assert body is not None
    assert to == ["head@acme.example"]
    assert mail["Subject"] == "Test company: проверок не прошло: 1"
    assert "Кого касается: Boris Gone, Clara One" in body.get_content()


def test_without_an_address_the_sensor_skips_and_later_tells_what_is_new(
    company: Company, catcher: Catcher
) -> None:
    heard = company.settings
    company.settings = heard.model_copy(update={"alert_urls": SecretStr("")})
    company.problem = "old"
    company.run()
    assert company.tick(RUNS).startswith("No alerts: set CALLFUNNEL_ALERT_URLS")
    company.settings = heard
    assert company.tick(RUNS) == "Listening from now on."
    assert company.tick(RUNS) == "Nothing new."


def test_reports_that_nobody_refreshes_are_told(
    company: Company, catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run()
    company.tick(RUNS)
    assert catcher.texts() == []
    now = dt.datetime.now().timestamp()
    # Daily at five, and six hours on top.
    for hours, told in ((29.9, []), (30.1, ["no finished daily run"]), (31, [])):
        monkeypatch.setattr(sensors, "get_current_timestamp", lambda at=now + hours * 3600: at)
        company.tick(RUNS)
        assert [text.splitlines()[0].partition(": ")[2] for text in catcher.texts()] == told
    monkeypatch.undo()
    company.run()
    company.tick(RUNS)
    (told_over,) = catcher.texts()
    assert "Over:\n- no finished daily run: it had lasted since" in told_over


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("call +7 900 123-45-67 back", "call *** back"),
        ("+380(44)1234567", "***"),
        ("79001234567", "***"),
        ("8 (900) 123 45 67.", "***."),
        ("rings 222-33-44", "rings ***"),
        ("on 2026-03-02 18:00:00 deal 123456", "on 2026-03-02 18:00:00 deal 123456"),
        ("extension 101, 1,234,567 rows", "extension 101, 1,234,567 rows"),
        ("https://crm.example/deal/79001234567/", "https://crm.example/deal/79001234567/"),
        ("call 1777551840.1056540 (asterisk:office)", "call 1777551840.1056540 (asterisk:office)"),
        ("ask Anna.K@shop.example.com, or", "ask ***, or"),
        ("a@b, @team and 50 @ 3", "a@b, @team and 50 @ 3"),
    ],
)
def test_phones_and_e_mails_are_masked(text: str, told: str) -> None:
    assert without_contacts(text) == told


def test_every_language_says_everything_with_the_same_facts() -> None:
    news = News(
        [Trouble("k", "check", 0.0, "run", people=tuple("ABCDEF"), records_count=1)],
        [Over("other", 0.0, "run")],
    )
    told = {
        language: Teller("Acme", language, "Europe/Moscow", "http://ui").message(
            news, is_of_runs=False
        )
        for language in WORDS
    }
    assert len({message.body for message in told.values()}) == len(WORDS) == 3
    for message in told.values():
        assert message.body.count("1970-01-01 03:00") == 2
        assert "A, B, C, D, E" in message.body
        assert "{" not in message.title + message.body


def test_a_long_list_is_cut_and_says_so() -> None:
    troubles = [Trouble(f"k{n}", f"check {n}", 0.0, "run", "warn", "x" * 999) for n in range(99)]
    teller = Teller("Acme", "en", "UTC", "http://ui")
    body = teller.message(News(failed=troubles), is_of_runs=False).body
    assert body.count("\n- check") == ITEMS_SHOWN
    assert f"and {99 - ITEMS_SHOWN} more" in body
    assert len(body) < 4096


def test_no_reason_of_a_closed_gate_hides_the_next() -> None:
    said = (
        "The gate is closed.\nno_pipeline_is_missing: " + "x" * 400 + "\nrows_are_the_same: deals"
    )
    teller = Teller("Acme", "en", "UTC", "http://ui")
    news = News(failed=[Trouble("k", "quality_gate", 0.0, "run", sentence=said)])
    body = teller.message(news, is_of_runs=True).body
    assert "The gate is closed. no_pipeline_is_missing: xxx" in body
    assert "… rows_are_the_same: deals" in body


@pytest.mark.parametrize(
    "url",
    [
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "mailto://head:secret@mail.example?to=head@mycompany.example",
        "mailtos://head:secret@mail.example?to=head@mycompany.example",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#sales",
        "jsons://hooks.mycompany.example/callfunnel",
    ],
)
def test_every_kind_of_address_in_the_documentation_is_usable(url: str) -> None:
    (address,) = addresses_of(SecretStr(url))
    assert problem_of(address) is None
    page = (PROJECT_DIR / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert f"`{url.partition('://')[0]}://" in page


def test_an_unusable_url_is_named_by_its_place_only() -> None:
    (address,) = addresses_of(SecretStr(f"nosuch://{SECRET}@host/{SECRET}"))
    assert address.label == "alert URL 1 (nosuch://…)"
    problem = problem_of(address)
    assert problem
    assert SECRET not in problem
    assert SECRET not in repr(Address(SecretStr(SECRET), 1))


def test_a_company_hears_its_own_addresses_and_those_of_all(
    monkeypatch: pytest.MonkeyPatch, catcher: Catcher
) -> None:
    monkeypatch.setenv("CALLFUNNEL_ALERT_URLS", f"json://all/{SECRET}")
    monkeypatch.setenv("CALLFUNNEL_COMPANY_ALERT_URLS__ACME", f"json://acme/{SECRET}")
    settings = Settings()
    assert SECRET not in repr(settings)
    counts = [
        len(addresses_of(settings.for_company(name).alert_text)) for name in ("acme", "other")
    ]
    assert counts == [2, 1]


def test_a_test_message_can_be_sent(
    tmp_path: Path, catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_company(tmp_path, "acme")
    monkeypatch.setenv("CALLFUNNEL_COMPANIES_DIR", str(made.companies_dir))
    monkeypatch.setenv("CALLFUNNEL_DATA_ROOT", str(made.data_root))

    def send() -> tuple[int, str]:
        result = CliRunner().invoke(app, ["alert-test", "--company=acme"])
        return result.exit_code, " ".join(result.output.split())

    assert send()[0] == 1
    monkeypatch.setenv("CALLFUNNEL_ALERT_URLS", catcher.url)
    assert send() == (0, "Sent to alert URL 1 (json://…).")
    assert catcher.texts() == ["Test company\nThis is a test: alerts of this company arrive here."]
    catcher.status = 401
    code, said = send()
    assert code == 1
    assert "alert URL 1 (json://…): Failed to send JSON POST notification" in said
    assert SECRET not in said
