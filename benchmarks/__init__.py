"""The benchmark harness: how fast, how flat and how light, against the physical limit and against other tools.

Invariant: a figure counts only after the loaded rows were compared with the source; every rival runs in a process of
its own, against the same server with the same settings.
"""
