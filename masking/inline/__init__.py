"""Masking of what an agent receives: values, JSON, text, events and whole bodies. Pure: bytes in, masked bytes out."""

import schemas

__all__ = ["schemas"]  # imported first: it makes the compiled forms of this package's modules known
