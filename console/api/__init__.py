"""The REST API: one table of routes over the functions that the commands use."""
