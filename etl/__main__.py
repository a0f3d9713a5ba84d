"""``python -m etl`` is ``etl``."""

from etl.shell.cli import main

main()
