"""An account of amoCRM with every entity, and what can go wrong while it is read."""
