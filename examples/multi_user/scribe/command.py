"""The command line of the application."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scribe.generator import generate
from scribe.schema import LATEST
from scribe.service import serve
from scribe.store import SqliteStore, open_store


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="app", description="Keeps terminal sessions.")
    parser.add_argument("--check", action="store_true", help="look whether everything is in its place, and end")
    parser.add_argument("command", nargs="*", help="serve | migrate | generate | docs index FOLDER")
    parser.add_argument("--config", action="append", default=[], help="a YAML file; later ones go before earlier ones")
    parser.add_argument("--db", help="a SQLite file or a PostgreSQL DSN; default: database.path of the config")
    parser.add_argument("--port", type=int)
    parser.add_argument("--until", default=LATEST, help="migrate: no further than this version")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.check:
        check(given)
    elif given.command == ["migrate"]:
        migrate(given)
    elif given.command == ["generate"]:
        print(f"{generate(Path(given.db), given.rows, given.seed):,} rows")
    elif given.command[:2] == ["docs", "index"]:
        print(f"{index(Path(given.command[2])):,} documents")
    elif given.command == ["serve"]:
        settings = read_settings(given.config)
        port = given.port or int(settings["server"]["port"])
        serve(open_store(given.db or settings["database"]["path"]), port, Path("scribe.pid"))
    else:
        parser.error("serve, migrate, generate, docs index FOLDER, or --check")


def check(given: argparse.Namespace) -> None:
    """The settings are there, and the database has the schema that this program knows."""
    settings = read_settings(given.config)
    for section, name in (("server", "port"), ("assistant", "api_key"), ("ui", "theme")):
        if name not in settings.get(section, {}):
            raise SystemExit(f"scribe: {section}.{name} is set nowhere")
    version = open_store(given.db or settings["database"]["path"]).version()
    if version > LATEST:
        raise SystemExit(f"scribe: the schema is at {version}, and this program knows {LATEST}")
    print(f"scribe: well, schema {version}")


def migrate(given: argparse.Namespace) -> None:
    store = open_store(given.db)
    done = store.migrate(given.until) if isinstance(store, SqliteStore) else store.migrate()
    print(f"scribe: {', '.join(done) or 'nothing to do'}")


def index(folder: Path) -> int:
    """Write index.json: the first line of every document."""
    found = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for path in sorted(folder.rglob("*.md"))
    }
    (folder / "index.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return len(found)


def read_settings(files: list[str]) -> dict[str, Any]:
    """System, then secrets, then user: mappings are merged, everything else is replaced."""
    from ruamel.yaml import YAML

    merged: dict[str, Any] = {}
    for name in files or ["config.yml"]:
        merge(merged, YAML(typ="safe").load(Path(name).read_text(encoding="utf-8")) or {})
    return merged


def merge(below: dict[str, Any], above: dict[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            merge(below[key], value)
        else:
            below[key] = value
