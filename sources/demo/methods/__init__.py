"""What each REST method of the portal returns, and in which of Bitrix24's several dialects.

Envelopes, names, id keys, types and empties differ from method to method. `catalogue` says how for
the list methods and `objects` for the rest; `lists` is the shared machinery, `conditions` reads
filter and order, `views` prints. Documented in the vendor's pages `crm.*.list`, `crm.item.list`,
`crm.item.productrow.list`, `crm.stagehistory.list`, `crm.*.fields`, `tasks.task.*`, `user.get`,
`department.get`, `voximplant.statistic.get`.
"""

from sources.demo.methods.answers import (
    MICROSECONDS,
    PAGE_SIZE,
    MethodError,
    Page,
    portal_time,
    portal_zone,
)
from sources.demo.methods.catalogue import LISTS, call_list
from sources.demo.methods.lists import ListMethod
from sources.demo.methods.objects import METHODS, OBJECTS, SCOPES, call_object

__all__ = [
    "LISTS",
    "METHODS",
    "MICROSECONDS",
    "OBJECTS",
    "PAGE_SIZE",
    "SCOPES",
    "ListMethod",
    "MethodError",
    "Page",
    "call_list",
    "call_object",
    "portal_time",
    "portal_zone",
]
