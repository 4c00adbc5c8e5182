"""What keeps a publication from being made."""

from __future__ import annotations

from sources.errors import CallfunnelError


class PublishingFailed(CallfunnelError):
    """Nothing was published; the last publication stays, and the message says what to do."""
