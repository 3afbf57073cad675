"""The docked panels; none knows the worker or another panel."""
