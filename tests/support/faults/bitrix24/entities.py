"""Every entity: how its requests are told from others, where the portal keeps it, what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SMART_PROCESS = 177
"""Entity type of the one smart process that is read."""


@dataclass(frozen=True)
class Read:
    """How the requests and commands that read an entity are told from others in a fault plan.

    Attributes:
        method: of its list, or of one of the requests it needs.
        where: parameters that tell it from other entities of the method.
        in_cut: how many commands of it stand in the request of counts before.
        is_batched: whether it is read by batches: at the first load, and at increments.
    """

    method: str
    where: Mapping[str, str] = field(default_factory=dict)
    in_cut: int = 0
    is_batched: tuple[bool, bool] = (True, True)


def _listed(method: str, *, is_batched: tuple[bool, bool] = (True, True), **where: str) -> Read:
    return Read(method, where, 2, is_batched)


READS: Mapping[str, Read] = {
    "users": Read("user.get", is_batched=(False, False)),
    "departments": Read("department.get", is_batched=(False, False)),
    "categories": Read("crm.category.list"),
    "statuses": Read("crm.status.list"),
    "currencies": Read("crm.currency.list", is_batched=(False, False)),
    "custom_fields": Read("crm.contact.fields"),
    "custom_field_options": Read("crm.deal.fields"),
    "products": _listed("crm.product.list"),
    "companies": _listed("crm.company.list"),
    "contacts": _listed("crm.contact.list"),
    "leads": _listed("crm.lead.list"),
    "deals": _listed("crm.deal.list"),
    "invoices": _listed("crm.item.list", entityTypeId="31"),
    f"smart_items_{SMART_PROCESS}": _listed("crm.item.list", entityTypeId=str(SMART_PROCESS)),
    "lead_stage_history": _listed("crm.stagehistory.list", entityTypeId="1"),
    "stage_history": _listed("crm.stagehistory.list", entityTypeId="2"),
    "invoice_stage_history": _listed("crm.stagehistory.list", entityTypeId="31"),
    "activities": _listed("crm.activity.list"),
    "tasks": _listed("tasks.task.list"),
    "calls": _listed("voximplant.statistic.get"),
    "product_rows": Read("crm.item.productrow.list"),
    "activity_bindings": Read("crm.activity.binding.list"),
    "task_history": Read("tasks.task.history.list"),
    "timeline_comments": Read("crm.timeline.comment.list"),
}
"""By entity, in the order of the connector."""

STORED: Mapping[str, str] = {
    "users": "user",
    "departments": "department",
    "categories": "category",
    "statuses": "status",
    "currencies": "currency",
    "custom_fields": "custom_field",
    "custom_field_options": "custom_field",
    "products": "product",
    "companies": "company",
    "contacts": "contact",
    "leads": "lead",
    "deals": "deal",
    "invoices": "invoice",
    f"smart_items_{SMART_PROCESS}": "smart_item",
    "lead_stage_history": "lead_stage_history",
    "stage_history": "stage_history",
    "invoice_stage_history": "invoice_stage_history",
    "activities": "activity",
    "tasks": "task",
    "calls": "call",
    "product_rows": "product_row",
    "activity_bindings": "binding",
    "task_history": "task_history",
    "timeline_comments": "timeline_comment",
}
"""The portal's own table of each entity."""

CORE = ("users", "categories", "statuses", "deals", "stage_history")
"""Without one of them no report is right: a load that can't read it ends."""
DETAILED = ("product_rows", "activity_bindings", "task_history", "timeline_comments")
"""Read owner by owner."""
_COMPANIONS = ("users", "deals")
_OWNING: Mapping[str, tuple[str, ...]] = {
    "activity_bindings": ("activities", "leads"),
    "task_history": ("tasks",),
    "timeline_comments": ("leads",),
}


def needed(*entities: str) -> tuple[str, ...]:
    """The entities, what owns their rows, and two others to be read beside them."""
    owning = (owner for entity in entities for owner in _OWNING.get(entity, ()))
    return tuple(dict.fromkeys((*_COMPANIONS, *owning, *entities)))
