"""Item models: tables that Qt views show."""
