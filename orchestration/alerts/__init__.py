"""Alerts: what failed and what is over, told once, read from Dagster's event log alone."""
