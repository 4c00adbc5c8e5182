"""Telephone numbers in E.164."""

from __future__ import annotations

from functools import cache

import phonenumbers


@cache
def e164(number: str, region: str) -> str | None:
    """The number in E.164; None where it can't be a telephone number.

    Gap: possible by length is enough (not "valid"), so that numbers of unassigned ranges compare.
    """
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
