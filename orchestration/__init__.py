"""Dagster: wiring of sources, models, expectations and publishing. No business logic."""
