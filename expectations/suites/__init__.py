"""Great Expectations suites as Python: what comes in (raw) and what goes out (marts)."""
