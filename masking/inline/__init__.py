"""Masking of what an agent receives: values, JSON, text, events and whole bodies. Pure: bytes in, masked bytes out."""
