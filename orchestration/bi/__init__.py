"""What BI tools are told about the published tables: made from dbt's manifest, never by hand."""
