"""Where a server's programs are missing, tests fail with a sentence that says what to install."""

from __future__ import annotations

import pytest

from tests.support import install_servers, servers


def test_a_missing_server_is_told_and_never_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install_servers, "find_program", lambda name: None)
    monkeypatch.setattr(install_servers.shutil, "which", lambda name: None)
    for start in (servers.mariadb, servers.postgresql):
        with pytest.raises(install_servers.ServerMissing, match="run `make test-servers`"), start():
            pass
    assert install_servers.main() == 1
    assert "apt install mariadb-server postgresql systemd" in capsys.readouterr().err


def test_nothing_is_done_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_servers, "install", lambda servers: pytest.fail("installs"))
    assert install_servers.main() == 0
