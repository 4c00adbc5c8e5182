"""Assets: load, models, gate, publication. Thin; the logic stands in the layers they call."""
