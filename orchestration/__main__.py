"""`python -m orchestration`: what the Makefile calls."""

from orchestration.cli import app

app()
