"""JSON documents in one canonical form, so that two spellings of one are equal bytes, and as PostgreSQL spells them.

`document_tokens.py` is the specification, token by token; `canonical.py` is what a comparison calls, `respelling.py`
the same for whole columns of documents that have one shape.
"""
