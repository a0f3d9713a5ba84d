"""The command line: flags in, a run, its report on stdout and its exit status out.

Invariant: it reaches the stages through the pipeline alone, and nothing but the entry point knows it.
"""
