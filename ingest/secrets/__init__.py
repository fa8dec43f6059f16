"""Upstreams' secrets: where they are kept, behind one interface. One place, one file."""
