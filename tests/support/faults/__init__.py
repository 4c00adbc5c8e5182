"""A portal of every entity, loads of it that meet faults, and what these must leave."""
