"""dlt sources: one folder per system, plus the demo portal. Sources bring rows; they give them no meaning."""
