"""The tests: they mirror the source tree and start the real servers they need."""
