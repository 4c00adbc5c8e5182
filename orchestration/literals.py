"""Values in DuckDB statements that take no parameters: `attach`, `set`, `copy … to`."""

from pathlib import Path


def literal(value: str | Path) -> str:
    """A path or a setting as a literal."""
    return "'" + str(value).replace("'", "''") + "'"
