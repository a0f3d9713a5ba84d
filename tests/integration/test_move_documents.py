"""Documents are copied with what links lead to; nothing is moved, nothing written over, nothing lost in silence."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from etl.move.relocation import copy_documents, folder_account
from etl.move.step_outcome import StepError
from etl.threads import StoppedError
from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder with files, folders, a link to a file and one to a folder outside."""
    folder = tmp_path / "docs"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.md").write_text("alpha")
    (folder / "deep" / "er" / "b.md").write_bytes(b"\xff\0beta")
    outside = tmp_path / "checkout"
    outside.mkdir()
    (outside / "c.md").write_text("gamma")
    (folder / "c.md").symlink_to(outside / "c.md")
    (folder / "linked").symlink_to(outside)
    os.utime(folder / "a.md", ns=(1_000_000_000_123_456_789, 1_000_000_000_123_456_789))
    (folder / "a.md").chmod(0o640)
    return folder


def test_links_become_what_they_lead_to(documents: Path, tmp_path: Path) -> None:
    """A link into somebody's checkout would lead nowhere for everybody else."""
    copied = copy_documents(documents, tmp_path / "to" / "here")
    target = tmp_path / "to" / "here"
    assert (copied.files, copied.bytes, copied.lines[1:]) == (4, 5 + 6 + 5 + 5, [])
    assert (copied.files, copied.bytes) == folder_account(documents)
    assert (target / "c.md").read_text() == (target / "linked" / "c.md").read_text() == "gamma"
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert (target / "deep" / "er" / "b.md").read_bytes() == b"\xff\0beta"
    status = (target / "a.md").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 1_000_000_000_123_456_789)
    assert (documents / "c.md").is_symlink()


def test_the_second_copy_copies_nothing(documents: Path, tmp_path: Path) -> None:
    """A move that goes on may begin this step again."""
    copy_documents(documents, tmp_path / "to")
    again = copy_documents(documents, tmp_path / "to")
    assert (again.files, again.same, again.lines[1:]) == (0, 4, [])


def test_what_is_there_already_stays(documents: Path, tmp_path: Path) -> None:
    """Somebody else's file of the same name is kept and told; so is a file where a folder would go."""
    target = tmp_path / "to"
    target.mkdir()
    (target / "a.md").write_text("other")
    (target / "deep").write_text("a file")
    copied = copy_documents(documents, target)
    assert (target / "a.md").read_text() == "other"
    assert (target / "deep").read_text() == "a file"
    assert copied.kept[0] == str(target / "a.md")
    assert str(documents / "deep") in copied.kept[1]
    assert copied.files == 2


def test_loops_and_links_to_nowhere_are_told(documents: Path, tmp_path: Path) -> None:
    """They hold nothing that could be lost, and would otherwise never end."""
    (documents / "deep" / "up").symlink_to(documents)
    (documents / "self").symlink_to("self")
    (documents / "gone").symlink_to("/no/such/file")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(documents / "socket"))
        copied = copy_documents(documents, tmp_path / "to")
    told = "\n".join(copied.left_out)
    assert "a loop, it leads to a folder that it is in" in told
    assert "self: a loop of links" in told
    assert "gone: a link that leads nowhere (/no/such/file)" in told
    assert "socket: neither a file nor a folder" in told
    assert (copied.files, copied.failed) == (4, [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_told_after_all_others(documents: Path, tmp_path: Path) -> None:
    """The others are there; the one is not silently missing."""
    (documents / "a.md").chmod(0)
    copied = copy_documents(documents, tmp_path / "to")
    assert copied.files == 3
    assert copied.failed == [f"{documents / 'a.md'}: Permission denied"]


def test_a_copy_into_itself_is_refused(documents: Path) -> None:
    """It would never end, or fill the originals with copies."""
    for target in (documents, documents / "deep" / "to", documents.parent):
        with pytest.raises(StepError, match="lie in each other"):
            copy_documents(documents, target)


def plan_of(folder: Path, index: str) -> Path:
    path = folder / "move.toml"
    path.write_text(
        '[source]\ndatabase = "./source.db"\ndocuments = "./docs"\n[target]\ndatabase = "postgresql://nobody@/x"\n'
        f'[documents]\nto = "./to"\nindex = {index!r}\n'
    )
    return path


def test_the_index_command_runs_where_the_documents_are_now(
    etl: EtlCommand, sqlite_path: Path, documents: Path, tmp_path: Path
) -> None:
    """It gets the new place as one argument, whatever blanks are in it, and no shell."""
    done = etl("move", plan_of(tmp_path, "cp {to}/a.md '{to}/index; touch x'"), "--only", "documents")
    assert done.status == 0, done.err
    assert (tmp_path / "to" / "index; touch x").read_text() == "alpha"
    assert "4 files copied, 21 bytes" in done.out


def test_an_index_command_that_fails_fails_the_step(
    etl: EtlCommand, make_source: MakeSource, documents: Path, tmp_path: Path
) -> None:
    """What it printed is shown, what was copied is told, and the step can be run again."""
    make_source("create table t (a)")
    done = etl("move", plan_of(tmp_path, "ls /no/such/folder"), "--only", "documents")
    assert done.status == 1
    assert "/no/such/folder" in done.out
    assert "changed by this move: copied: 4 files" in done.out
    assert "the index command ended with status" in done.errors[0]
    again = etl("move", plan_of(tmp_path, "true"), "--only", "documents")
    assert again.status == 0, again.err
    assert "0 files copied, 0 bytes; 4 were there already" in again.out


def test_a_copy_that_is_stopped_leaves_no_half_file(documents: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a large file: what is complete stays, what is not has no name; the next run goes on."""
    (documents / "z-large").write_bytes(b"x" * (40 << 20))
    blocks = iter([False] * 7)
    with pytest.raises(StoppedError):
        copy_documents(documents, tmp_path / "to", lambda: next(blocks, True))
    there = {path.name for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert there
    assert "z-large" not in there
    assert not [name for name in there if name.startswith(".")]
    again = copy_documents(documents, tmp_path / "to")
    assert (again.files + again.same, again.same) == (5, len(there))
