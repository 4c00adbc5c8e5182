"""Host names that lead to loopback, for clients that insist on a vendor's."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


def redirect(ports: Mapping[str, int | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve host names to loopback in this process, and to another port where one is given."""
    monkeypatch.setattr(socket, "getaddrinfo", resolver(ports))
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)


def resolver(ports: Mapping[str, int | None]) -> Callable[..., Any]:
    """`socket.getaddrinfo` with these host names on loopback, at another port if one is given."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host in ports:
            return resolve("127.0.0.1", ports[host] or port, *more, **named)
        return resolve(host, port, *more, **named)

    return resolved
