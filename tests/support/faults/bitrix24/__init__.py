"""A portal of Bitrix24 with every entity, and what can go wrong while it is read."""
