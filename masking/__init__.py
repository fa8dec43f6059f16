"""Masking: secrets and personal data in texts, payloads, rows and streams become ‹label:token›.

Pure functions that ingest (inline), processors (the stream) and `custody mask` share. One `Masker` serves one thread:

    masker = Masker(tokens=TokenKey(key), rule_version=rule_version())   # masking.engine, .tokens, .catalog
    masker.mask_text(text, place) -> MaskedText(text, findings)
    masker.mask_batch(texts, places, named) -> [MaskedText | None]  one scan over all; None: nothing to mask
    masker.mask_bytes(data, place) -> MaskedBytes               offsets of findings are bytes
    masker.mask_named(name, value, place) -> MaskedText         a value whose column, key, header or parameter is known
    masker.mask_parts(text, parts, label, place) -> MaskedText  parts that are known to be secret
    masker.find_candidates(contents) -> [index]                 which contents can have findings at all; one scan
    masker.find_spans(data) -> [Span]; masker.splice(data, spans) -> (data, findings)   for who replaces by itself
    mask_rows(masker, columns, rows); mask_headers(masker, headers); mask_json(masker, data)    masking.structured
    mask_payload(masker, data, place, content_type)             masking.payload: bytes of unknown kind
    StreamMasker(masker).feed(chunk) / .finish()                masking.stream: across chunk borders, bounded carry

A `Finding` is (label, token, start, end, place, layers); offsets are code points of the text that was passed in.
"""
