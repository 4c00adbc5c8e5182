"""The weekly upkeep: what old runs left goes, the warehouse is compacted, sizes are told."""
