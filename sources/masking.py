"""Personal data where others may read it: the ways of treating it, and texts without contacts."""

from __future__ import annotations

import re
from typing import Literal

Treatment = Literal["show", "hash", "mask", "hide"]
"""Of a personal column: as it is, as a keyed hash, without phones and e-mails, not at all."""

HIDDEN = "***"

_CONTACT = re.compile(
    r"""
    (?P<kept>
        \d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?  # an instant
        | https?://\S+                               # an address: ids of cards are as long
        | (?<![\w+]) 1\d{9}\.\d{1,9} (?!\w)           # Asterisk's id of a call
    )
    | [^\s@<>()"',;:]+ @ [^\s@<>()"',;:]+ \. \w+     # an e-mail address
    | (?<!\w) (?:
        \+ \s? \d (?: [\s().-]{0,3} \d ){6,14}       # international
        | \(? \d (?: [\s().-]{0,3} \d ){8,14}        # with the area's code
        | \d{2,3} - \d\d - \d\d                      # of the town: 222-33-44
    ) (?!\w)
    """,
    re.VERBOSE,
)

MAY_HOLD_A_CONTACT = r"(?:\d\D{0,3}){7}|@"
"""Found in every text that `without_contacts` changes; for engines that search faster."""


def without_contacts(text: str) -> str:
    """A text with everything in it that may be a telephone number or an e-mail made unreadable."""
    return _CONTACT.sub(lambda found: found["kept"] or HIDDEN, text)
