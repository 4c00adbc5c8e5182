"""Publishing: what BI tools read, whole or not at all."""
