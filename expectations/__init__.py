"""What data must satisfy: Great Expectations at the boundaries, dbt tests between, the gate."""
