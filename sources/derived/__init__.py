"""What Python derives from raw tables before the models run, kept in `raw_derived`."""
