"""Where cards come from (SPEC §2, "Deals created, by origin")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.reference.employees import Staff
from tests.reference.records import Deal, Lead, Portal
from tests.reference.rules import Rules
from tests.reference.stages import known_deals, known_leads

MadeBy = Literal["system", "person"]

_FORMS = ("WEBFORM", "CALLBACK")


@dataclass(frozen=True)
class Origin:
    """What the origin of a deal follows from, whatever period is looked at."""

    deal_id: int
    lead_id: int | None
    """The lead it was made from, as long as that lead counts."""
    lead_created_at: int | None
    made_by: MadeBy


def origins(portal: Portal, rules: Rules, staff: Staff) -> list[Origin]:
    """The origin of every deal that counts, by id."""
    leads = {lead.id: lead for lead in known_leads(portal, rules)}
    found: list[Origin] = []
    for deal in known_deals(portal, rules):
        lead = leads.get(deal.lead_id or 0)
        found.append(
            Origin(
                deal.id,
                lead.id if lead else None,
                lead.date_create if lead else None,
                made_by(deal, staff),
            )
        )
    return found


def first_deals(portal: Portal, rules: Rules) -> dict[int, int | None]:
    """By lead that counts the deal made from it: of several the one created first."""
    deals = sorted(known_deals(portal, rules), key=lambda deal: (deal.date_create, deal.id))
    return {
        lead.id: next((deal.id for deal in deals if deal.lead_id == lead.id), None)
        for lead in known_leads(portal, rules)
    }


def made_by(card: Deal | Lead, staff: Staff) -> MadeBy:
    """Who made a card: a form, a call-back or a chat (`1|TELEGRAM`) whoever it names, a robot."""
    source = card.source_id or ""
    # An account that no list has ever had is no person; who has left was one.
    is_person = (card.created_by_id or 0) in staff.employees
    return "system" if source in _FORMS or "|" in source or not is_person else "person"
