"""The multi-user move: what stands around a migration when one user's application is installed for many.

``steps`` is the page to read first; each step is a module of its own, usable alone.
"""
