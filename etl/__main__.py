"""The program ``etl``, which is ``python -m etl`` as well."""

from typing import NoReturn

from etl.shell.signals import leave_on_signals


def main() -> NoReturn:
    """Import the command line, where a signal can do no harm any more, and run what the user asks for."""
    leave_on_signals()
    from etl.shell.cli import main as run

    run()


if __name__ == "__main__":
    main()
