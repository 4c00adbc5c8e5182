"""Every entity: how its requests are told from others, and where the account keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sources.amocrm.lists import LEADS
from tests.support.faults.system import Held

CATALOG = 61
"""The catalogue whose elements are looked at."""


@dataclass(frozen=True)
class Read:
    """How the requests that read an entity are told from others in a fault plan.

    Attributes:
        path: of its list, as fault plans name it.
        where: parameters that tell it from other entities of the path.
        is_paged: it has three pages at both loads; otherwise one.
        of_fifty: it is asked for by pages of 50 rows.
    """

    path: str
    where: Mapping[str, str] = field(default_factory=dict)
    is_paged: bool = True
    of_fifty: bool = False


def _listed(path: str, **where: str) -> Read:
    return Read(path, {**where, "order[id]": "asc"})


_ACCOUNT = Read("account", {"with": "users_groups,task_types"}, is_paged=False)
_PIPELINES = Read("leads/pipelines", is_paged=False)
_FIELDS = Read("leads/custom_fields", of_fifty=True)
READS: Mapping[str, Read] = {
    "account": _ACCOUNT,
    "users": Read("users"),
    "groups": _ACCOUNT,
    "pipelines": _PIPELINES,
    "statuses": _PIPELINES,
    "loss_reasons": Read("leads/loss_reasons"),
    "custom_fields": _FIELDS,
    "custom_field_enums": _FIELDS,
    "tags": Read("leads/tags"),
    # A handful in an account: each costs a request.
    "catalogs": Read("catalogs", is_paged=False),
    "catalog_elements": Read("catalogs/{catalog_id}/elements", {"catalog_id": str(CATALOG)}),
    "companies": _listed("companies"),
    "contacts": _listed("contacts"),
    "leads": _listed("leads", **LEADS.parameters),
    "deleted_leads": Read("leads", {"with": "only_deleted"}),
    "unsorted": Read("leads/unsorted"),
    "lead_notes": _listed("leads/notes"),
    "contact_notes": _listed("contacts/notes"),
    "company_notes": _listed("companies/notes"),
    "tasks": _listed("tasks"),
    "events": Read("events"),
}
"""By entity, in the order of the connector."""

CORE = ("pipelines", "statuses", "leads", "events")
"""Without one of them no report is right: a load that can't read it ends."""
SHARING = {
    "groups": "account",
    "statuses": "pipelines",
    "custom_field_enums": "custom_fields",
}
"""Second tables of a request."""
_NOTED = {"lead_notes": "leads", "contact_notes": "contacts", "company_notes": "companies"}
TABLES = dict.fromkeys(_NOTED, "notes")
CONDITIONS = {entity: f"entity_type = '{kind}'" for entity, kind in _NOTED.items()}
_STAGE = "pipeline_id || ' ' || id"
HELD: Mapping[str, Held] = {
    "account": Held("account"),
    "users": Held("user"),
    "groups": Held("user_group"),
    "pipelines": Held("pipeline"),
    "statuses": Held("status", _STAGE, raw_key=_STAGE),
    "loss_reasons": Held("loss_reason"),
    "custom_fields": Held("custom_field"),
    "custom_field_enums": Held("custom_field", raw_key="field_id"),
    "tags": Held("tag"),
    "catalogs": Held("catalog"),
    "catalog_elements": Held("catalog_element"),
    "companies": Held("company", condition="coalesce(is_deleted, 0) = 0"),
    "contacts": Held("contact", condition="coalesce(is_deleted, 0) = 0"),
    "leads": Held("lead", condition="coalesce(is_deleted, 0) = 0"),
    "deleted_leads": Held("lead", condition="is_deleted = 1"),
    "unsorted": Held("unsorted", "uid", raw_key="uid"),
    **{entity: Held("note", condition=found) for entity, found in CONDITIONS.items()},
    "tasks": Held("task"),
    "events": Held("event"),
}
_COMPANIONS = ("leads", "events")


def needed(*entities: str) -> tuple[str, ...]:
    """The entities, and others to be read beside them."""
    return tuple(dict.fromkeys((*_COMPANIONS, *entities)))
