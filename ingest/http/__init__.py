"""Capture of HTTP: mitmproxy's engine, embedded, with a recording gate in every stream. See docs/protocols/http.md."""
