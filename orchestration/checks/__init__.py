"""Asset checks that list the offending records."""
