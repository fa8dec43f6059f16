"""Stream processors: masking, facts and detection, retention."""

import schemas

__all__ = ["schemas"]  # imported first: it makes the compiled forms of this package's modules known
