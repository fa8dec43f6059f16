"""Sinks: what stores and forwards the masked record."""

import schemas

__all__ = ["schemas"]  # imported first: it makes the compiled forms of this package's modules known
