"""Sending through Apprise; addresses are secrets and stay out of every text."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from orchestration.alerts.messages import Message

if TYPE_CHECKING:
    from apprise import AppriseAsset

_SECONDS = 20
"""For one address: Dagster gives a tick 60."""
_apprise_is_quiet = threading.Lock()


@dataclass(frozen=True)
class Address:
    """One Apprise URL.

    Attributes:
        url: with its tokens and passwords.
        position: among the URLs of the setting, from 1.
    """

    url: SecretStr
    position: int

    @property
    def key(self) -> str:
        """Tells addresses apart without giving them away."""
        return hashlib.sha256(self.url.get_secret_value().encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """What may be said of it."""
        scheme = self.url.get_secret_value().partition("://")[0]
        return f"alert URL {self.position} ({scheme}://…)"


@dataclass
class Delivery:
    """What became of a message: who has not taken it, and why."""

    refused: dict[str, str] = field(default_factory=dict)


def addresses_of(text: SecretStr) -> tuple[Address, ...]:
    """The URLs of a setting, which commas or spaces part."""
    if not text.get_secret_value():
        return ()
    from apprise.utils.parse import parse_urls

    urls: dict[str, None] = dict.fromkeys(parse_urls(text.get_secret_value()))  # type: ignore[no-untyped-call]
    return tuple(Address(SecretStr(url), number) for number, url in enumerate(urls, start=1))


def send(message: Message, addresses: Sequence[Address]) -> Delivery:
    """Send a message to each address; one that fails keeps no other from being tried."""
    delivery = Delivery()
    for address in addresses:
        problem = _send(message, address)
        if problem:
            delivery.refused[address.key] = f"{address.label}: {problem}"
    return delivery


def problem_of(address: Address) -> str | None:
    """Why Apprise can't use a URL; None where it can. Nothing is sent."""
    import apprise

    with _captured() as said:
        service = apprise.Apprise.instantiate(address.url.get_secret_value(), asset=_asset())
    return None if service else _reason(said, address, "Apprise does not know such a URL")


def _send(message: Message, address: Address) -> str | None:
    import apprise

    problem = problem_of(address)
    if problem:
        return problem
    with _captured() as said:
        sender = apprise.Apprise(asset=_asset())
        sender.add(address.url.get_secret_value())
        is_sent = sender.notify(
            body=message.body, title=message.title, body_format=apprise.NotifyFormat.TEXT
        )
    return None if is_sent else _reason(said, address, "the service did not take the message")


def _asset() -> AppriseAsset:
    import apprise

    return apprise.AppriseAsset(
        app_id="callfunnel",
        app_desc="callfunnel",
        # Otherwise messages lead readers' programs to pictures on other people's servers.
        app_url="",
        image_url_mask="",
        image_url_logo="",
        secure_logging=True,
        async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=_SECONDS,
        allow_templates=False,
    )


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _captured() -> Iterator[list[str]]:
    """What Apprise logs meanwhile; nothing of it reaches another log: at DEBUG it names URLs."""
    log, records = logging.getLogger("apprise"), _Records()
    with _apprise_is_quiet:
        level, propagates, handlers = log.level, log.propagate, log.handlers
        log.handlers, log.propagate = [records], False
        log.setLevel(logging.WARNING)
        try:
            yield records.said
        finally:
            log.handlers, log.propagate = handlers, propagates
            log.setLevel(level)


def _reason(said: Sequence[str], address: Address, otherwise: str) -> str:
    text = " ".join(" ".join(said).split()) or otherwise
    _, _, rest = address.url.get_secret_value().partition("://")
    # Anything of the URL may be a token: a user, a password, a part of the path, an option.
    for secret in sorted(re.split(r"[/:@?&=,]+", rest), key=len, reverse=True):
        if len(secret) > 2:
            text = text.replace(secret, "***")
    return text
