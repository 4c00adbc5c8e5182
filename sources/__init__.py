"""dlt sources, one folder per system: they bring rows and give them no meaning."""
