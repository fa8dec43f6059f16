"""The contract between the parts: records, topics, settings, errors. Importing it makes compiled hot modules known."""

from schemas import native

native.install()
