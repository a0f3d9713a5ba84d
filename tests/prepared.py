"""A process that has imported all that `etl` needs, and of which each fork becomes an `etl` of its own.

Imports are most of what a short run takes, and the tests start hundreds. The fork goes on where `python -m etl` stands
after its imports: a process with its own folder, output and exit status, which ends as every other.

A request is a line of JSON (folder, arguments, and the constants that are to have other values) and three descriptors:
standard output, standard error, and one that is told the pid at the start and the status at the end, a line each. The
process ends when nobody holds the other end of its socket.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from typing import NoReturn

LONGEST_REQUEST = 1 << 16  # bytes


def import_everything() -> None:
    """What the command line imports when it runs a command, after the settings that it makes before."""
    from etl.memory import bound_allocators, import_without_collecting

    bound_allocators()
    import_without_collecting()
    import etl.phases.amending
    import etl.phases.attestation
    import etl.phases.cleaning
    import etl.phases.comparison
    import etl.phases.inspection
    import etl.pipeline
    import etl.shell.move_command  # noqa: F401

    gc.freeze()


def serve(requests: socket.socket) -> None:
    """Fork for each request; returns in the forks alone, as the `etl` that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    while True:
        line, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 3)
        if not line:
            sys.exit()
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output, errors, told = descriptors
    child = os.fork()
    if child != 0:
        os.close(output)
        os.close(errors)
        watch(child, told)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    request = json.loads(line)
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    sys.argv[1:] = request["arguments"]
    for name, value in request["constants"].items():
        module, _, constant = name.rpartition(".")
        if type(getattr(sys.modules[module], constant)) is not type(value):
            raise TypeError(name)
        setattr(sys.modules[module], constant, value)


def watch(child: int, told: int) -> NoReturn:
    """Tell the pid of a command, and how it ended."""
    os.write(told, b"%d\n" % child)
    _, ended = os.waitpid(child, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


if __name__ == "__main__":
    import_everything()
    serve(socket.socket(fileno=int(sys.argv[1])))

    from etl.shell.cli import main

    main()
