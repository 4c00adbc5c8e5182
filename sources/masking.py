"""Personal data where others may read it: the ways of treating it, and texts without contacts."""

from __future__ import annotations

import re
from typing import Literal

Treatment = Literal["show", "hash", "mask", "hide"]
"""Of a personal column: as it is, as a keyed hash, without phones and e-mails, not at all."""

HIDDEN = "***"

# Digits are written out: "any digit" of Python knows more of them than that of other engines.
_BETWEEN = r"[\s()./_\-\u2010-\u2015\u2212]{0,3}"
"""What people put between the digits of a number."""

_CONTACT = re.compile(
    rf"""
    (?P<kept>
        [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[ T][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?)?  # an instant
        | (?<![\w+]) 1[0-9]{{9}}\.[0-9]{{1,9}} (?!\w)                 # Asterisk's id of a call
        | \b [0-9a-fA-F]{{8}} (?:-[0-9a-fA-F]{{4}}){{3}} -[0-9a-fA-F]{{12}} \b       # a UUID
        | \b (?=[0-9]*[a-f]) (?=[a-f]*[0-9]) [0-9a-f]{{16,}} \b       # a hash
    )
    | (?P<link> https?://\S+ )
    | [^\s@<>()"',;:]+ @ [^\s@<>()"',;:]+ \. \w+                    # an e-mail address
    | (?<![0-9]) (?:
        \+ \s? [0-9] (?: {_BETWEEN} [0-9] ){{6,14}}                  # international
        | \(? [0-9] (?: {_BETWEEN} [0-9] ){{8,14}}                    # with the area's code
        | [0-9]{{2,3}} - [0-9]{{2}} - [0-9]{{2}}                        # of the town: 222-33-44
    ) (?![0-9])
    """,
    re.VERBOSE,
)
_IN_A_LINK = re.compile(
    r"(?:(?<=\bwa\.me/)|(?<=\bt\.me/)|(?<=[=+:])|(?<=%2B))[0-9]{10,15}(?![0-9])", re.IGNORECASE
)
"""The number of `wa.me/79…` and `phone=+7…`; elsewhere in links stand ids of cards and runs."""

MAY_HOLD_A_CONTACT = r"(?:[0-9][^0-9]{0,3}){6}|@"
"""Found in every text that `without_contacts` changes; for engines that search faster."""


def without_contacts(text: str) -> str:
    """A text with everything in it that may be a telephone number or an e-mail made unreadable."""
    return _CONTACT.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    if found["link"]:
        return _IN_A_LINK.sub(HIDDEN, found["link"])
    return found["kept"] or HIDDEN
