"""A provider's stand-in served by hand: `python -m sources.demo serve-telephony`."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tomllib
from collections.abc import Sequence

import pytest

from orchestration.settings import PROJECT_DIR
from sources.demo.telephony.providers import STAND_INS
from sources.telephony.providers import TABLES, open_reader
from tests.support.telephony import access_to, keys_of, rows_of

COMMAND = (sys.executable, "-m", "sources.demo", "serve-telephony")


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(provider, marks=[] if provider in ("mango", "uis") else [pytest.mark.long])
        for provider in sorted(STAND_INS)
    ],
)
def test_a_stand_in_prints_the_secrets_and_answers_to_them(provider: str) -> None:
    with started(provider, "--days", "2", "--calls-per-day", "20", "--zone", "UTC") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(len(STAND_INS[provider].keys) + 1)]
        try:
            reader = open_reader(provider, access_to(provider, tomllib.loads("".join(lines))))
            now = reader.now()
            table = TABLES[provider][0]
            rows = rows_of(reader, table, now - dt.timedelta(days=3), now)
            reader.close()
        finally:
            process.kill()
    # Of the forty some have not begun yet, and some providers tell one row a leg.
    assert len(set(keys_of(table, rows))) > 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("avaya",), "There is no stand-in of 'avaya': one of binotel, mango"),
        (("uis", "--zone", "Moscow"), "'Moscow' is not an IANA time zone"),
    ],
)
def test_what_can_not_be_served_is_told(arguments: Sequence[str], said: str) -> None:
    with started(*arguments) as process:
        _, error = process.communicate()
    assert said in error
    assert process.returncode == 2
