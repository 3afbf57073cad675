"""What happened and what is looked at."""
