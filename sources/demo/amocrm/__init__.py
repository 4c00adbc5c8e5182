"""An amoCRM account on loopback, and the invented company as amoCRM would hold it."""
