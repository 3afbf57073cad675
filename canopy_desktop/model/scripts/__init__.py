"""Programs that are run by path, in environments that have not this package."""
