"""What several tests lean on: companies in temporary folders, loads, builds, rows."""
