"""Capture proxies: what sits between agents and the resources they act on."""

import schemas

__all__ = ["schemas"]  # imported first: it makes the compiled forms of this package's modules known
