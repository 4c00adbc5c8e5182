"""Custom fields of the converted company: definitions, list values, and the values on cards."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sources.demo.store import PortalStore

CARD_TYPES: Mapping[str, str] = {"deal": "leads", "contact": "contacts", "company": "companies"}
"""Bitrix24's entities by their names in amoCRM's addresses."""
PHONE_ID, EMAIL_ID = 3, 5
_CHANNELS = (
    ("PHONE", "Телефон", PHONE_ID, ("WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER")),
    ("EMAIL", "Email", EMAIL_ID, ("WORK", "PRIV", "OTHER")),
)
_CHANNEL_TYPES = {"WORK": "WORK", "MOBILE": "MOB", "FAX": "FAX", "HOME": "HOME"}
_UTM = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
_PREFIX = "UF_CRM_"
_LONGEST_LIST = 200
"""A text field with more different values stays a text field."""


def stable_id(*texts: object) -> int:
    """A number that depends on the texts only, so that a later conversion gives it again."""
    return 1_000 + zlib.crc32("\n".join(map(str, texts)).encode()) % 2_000_000_000


@dataclass(frozen=True)
class _Field:
    """One field of one kind of card; `enums` maps what the Bitrix24 card holds to (id, text)."""

    id: int
    name: str
    code: str | None
    type: str
    enums: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def value(self, held: Any) -> dict[str, Any] | None:
        """Its entry in `custom_fields_values`; None where the card holds nothing."""
        items = held if isinstance(held, list) else [held]
        values = [self._item(item) for item in items if item not in (None, "")]
        return self.entry(values) if values else None

    def entry(self, values: list[dict[str, Any]]) -> dict[str, Any]:
        """Its entry with ready values."""
        return {
            "field_id": self.id,
            "field_name": self.name,
            "field_code": self.code,
            "field_type": self.type,
            "values": values,
        }

    def _item(self, item: Any) -> dict[str, Any]:
        if str(item) not in self.enums:
            return {"value": str(item)}
        enum_id, text = self.enums[str(item)]
        return {"value": text, "enum_id": enum_id, "enum_code": None}


class CustomFields:
    """All custom fields of the account."""

    def __init__(self, source: PortalStore) -> None:
        self._source = source
        self._sources = {
            row["STATUS_ID"]: row["NAME"]
            for row in source.query(
                "select STATUS_ID, NAME from status where ENTITY_ID = 'SOURCE' order by SORT, ID"
            )
        }
        self._own = {entity: dict(self._read_own(entity)) for entity in CARD_TYPES}
        self._origin = {
            entity: _Field(
                stable_id(entity, "SOURCE"),
                "Источник",
                "SOURCE",
                "select",
                {key: (stable_id("SOURCE", key), name) for key, name in self._sources.items()},
            )
            for entity in ("deal", "contact")
        }
        self._utm = {
            name: _Field(stable_id("deal", name), name.lower(), name, "tracking_data")
            for name in _UTM
        }
        self._channels = {
            code: _Field(
                field_id,
                name,
                code,
                "multitext",
                {kind: (1_000 * field_id + place, kind) for place, kind in enumerate(kinds)},
            )
            for code, name, field_id, kinds in _CHANNELS
        }

    def values(self, entity: str, row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """`custom_fields_values` of a card; None where it has none.

        Args:
            entity: deal, contact or company.
            row: of the Bitrix24 store.
        """
        found = [self._channel(code, row[code]) for code in self._channels if code in row]
        custom = json.loads(row["CUSTOM"] or "{}")
        found += [
            self._own[entity][name].value(held)
            for name, held in custom.items()
            if name in self._own[entity]
        ]
        if entity in self._origin:
            found.append(self._origin[entity].value(row["SOURCE_ID"]))
        if entity == "deal":
            found += [utm.value(row[name]) for name, utm in self._utm.items()]
        return [entry for entry in found if entry is not None] or None

    def definitions(self) -> Iterator[dict[str, Any]]:
        """Rows of the entity `custom_field`."""
        for entity, entity_type in CARD_TYPES.items():
            fields: list[_Field] = []
            if entity != "deal":
                fields += self._channels.values()
            fields += self._own[entity].values()
            if entity in self._origin:
                fields.append(self._origin[entity])
            if entity == "deal":
                fields += self._utm.values()
            for place, custom_field in enumerate(fields, start=1):
                is_channel = custom_field.type == "multitext"
                yield {
                    "id": custom_field.id,
                    "entity_type": entity_type,
                    "name": custom_field.name,
                    "type": custom_field.type,
                    "code": custom_field.code,
                    "sort": 10 * place,
                    "is_api_only": 0,
                    "enums": [
                        {"id": enum_id, "value": text, "sort": 10 * number}
                        for number, (enum_id, text) in enumerate(custom_field.enums.values(), 1)
                    ]
                    or None,
                    "is_deletable": not is_channel,
                    "is_predefined": is_channel,
                }

    def _read_own(self, entity: str) -> Iterator[tuple[str, _Field]]:
        """Fields of the company's own, also those that no definition names."""
        held: dict[str, dict[str, None]] = {}
        for name, value in self._source.query(
            "select item.key, item.value "
            f"from {entity}, json_each(coalesce(CUSTOM, '{{}}')) as item "
            "where item.type not in ('array', 'object', 'null') group by 1, 2 order by 1, 2"
        ):
            held.setdefault(name, {})[str(value)] = None
        defined = {
            row["FIELD_NAME"]: row
            for row in self._source.query(
                "select * from custom_field where ENTITY_TYPE = ? order by ID", (entity,)
            )
        }
        for name in [*defined, *(name for name in held if name not in defined)]:
            row = defined.get(name)
            code = name.removeprefix(_PREFIX)
            items: Sequence[Mapping[str, Any]] = json.loads(row["ITEMS"] or "[]") if row else []
            if items:
                enums = {
                    str(item["ID"]): (stable_id(entity, name, item["ID"]), str(item["VALUE"]))
                    for item in items
                }
            else:
                texts = held.get(name, {}) if len(held.get(name, {})) <= _LONGEST_LIST else {}
                enums = {text: (stable_id(entity, name, text), text) for text in texts}
            kind = "multiselect" if row and row["IS_MULTIPLE"] else "select"
            label = row["LABEL"] if row else code.capitalize()
            yield (
                name,
                _Field(stable_id(entity, name), label, code, kind if enums else "text", enums),
            )

    def _channel(self, code: str, held: str | None) -> dict[str, Any] | None:
        channel = self._channels[code]
        values = []
        for item in json.loads(held or "[]"):
            kind = _CHANNEL_TYPES.get(item.get("VALUE_TYPE", ""), "OTHER")
            enum_id, enum_code = channel.enums.get(kind, channel.enums["OTHER"])
            values.append({"value": item["VALUE"], "enum_id": enum_id, "enum_code": enum_code})
        return channel.entry(values) if values else None
