"""How big an invented company is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sources.demo.generator.people import FIXED_PEOPLE

MIN_MONTHS = 9


@dataclass(frozen=True)
class CompanySize:
    """Numbers of records, without the few that the planted troubles add.

    Attributes:
        deals: deals created in the period.
        calls: calls, those of the contact with thousands of calls included; met within a few
            in ten thousand.
        contacts: clients created in the period.
        months: calendar months of history, the one of the clock included.
        employees: accounts, without those of planted troubles.
        heavy_calls: calls of the contact with thousands of calls.
    """

    deals: int
    calls: int
    contacts: int
    months: int = 18
    employees: int = 12
    heavy_calls: int = 2_000

    def __post_init__(self) -> None:
        if self.months < MIN_MONTHS:
            raise ValueError(
                f"months is {self.months}: troubles are planted up to {MIN_MONTHS} months back"
            )
        if self.employees < FIXED_PEOPLE + 2:
            raise ValueError(f"employees is {self.employees}: give at least {FIXED_PEOPLE + 2}")
        if min(self.deals, self.contacts) < self.months:
            raise ValueError("give at least one deal and one contact a month")
        if self.calls < self.heavy_calls:
            raise ValueError(
                f"calls is {self.calls}: lower heavy_calls ({self.heavy_calls}) or raise calls"
            )


SizeName = Literal["small", "large"]

SIZES: dict[SizeName, CompanySize] = {
    "small": CompanySize(deals=2_000, calls=20_000, contacts=1_500),
    "large": CompanySize(
        deals=1_000_000,
        calls=10_000_000,
        contacts=700_000,
        months=48,
        employees=220,
        heavy_calls=20_000,
    ),
}


def size_of(size: SizeName | CompanySize) -> CompanySize:
    """The size itself, or the one of that name.

    Raises:
        ValueError: there is no size of that name.
    """
    if isinstance(size, CompanySize):
        return size
    if size not in SIZES:
        raise ValueError(f"no size {size!r}: take one of {', '.join(SIZES)} or a CompanySize")
    return SIZES[size]
