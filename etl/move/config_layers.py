"""Which of three files each setting belongs to: system, secrets or user; and the proof that the files say the same.

A secret is what a listed variable, a key's name or a value's form makes one, and every setting that contains it. The
user's are those of the allow-list; all else is the system's. Nothing here reads or writes.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

from etl.move.move_plan import SplitPlan
from etl.move.yaml_reading import ConfigError

SYSTEM, SECRETS, USER = "system", "secrets", "user"
LAYERS = (SYSTEM, SECRETS, USER)  # in the order in which an application merges them
TELLING = 8  # characters from which on a secret is looked for inside of other texts
PLACEHOLDER = re.compile(r"(?:\$\{[^}]*\}|\$\w+)+")
WORDS = re.compile(r"[^\s\"'`,;()\[\]{}]+")
COMMENTED_KEY = re.compile(r"#+\s*([\w.-]+)\s*[:=]\s*\S")

Path = tuple[str, ...]
Assignment = dict[Path, str]


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every setting that is no mapping with something in it; a list is one setting."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, str(key)))
    elif path:
        yield path, data


def assign(settings: Mapping[str, Any], split: SplitPlan) -> Assignment:
    """The layer of every leaf. A setting that contains a secret is one, whatever it is called."""
    every = dict(leaves(settings))
    found = {path: _layer(path, value, split) for path, value in every.items()}
    while True:
        secrets = secret_texts(every, found)
        more = {
            path
            for path, value in every.items()
            if found[path] != SECRETS and any(_holds(text, secrets) for text in _texts(value))
        }
        if not more:
            return found
        found.update(dict.fromkeys(more, SECRETS))


def secret_texts(every: Mapping[Path, Any], assignment: Assignment) -> frozenset[str]:
    """The texts that must stand nowhere else: not those that only name a variable, and none that is empty."""
    return frozenset(
        text
        for path, value in every.items()
        if assignment[path] == SECRETS
        for text in _texts(value)
        if text.strip() and not PLACEHOLDER.fullmatch(text.strip())
    )


def is_telltale(comment: str, secrets: frozenset[str], split: SplitPlan) -> bool:
    """Whether a line of comment names a secret: one that is known, one by its form, or a setting commented out."""
    key = COMMENTED_KEY.match(comment.strip())
    return (
        any(secret in comment for secret in secrets if len(secret) >= TELLING)
        or any(_matches(word, split.secret_values) for word in WORDS.findall(comment))
        or (key is not None and is_secret_key(key[1], split))
    )


def merge(layers: Mapping[str, Any]) -> dict[str, Any]:
    """System, then secrets, then user: mappings key by key, everything else as a whole."""
    merged: dict[str, Any] = {}
    for name in LAYERS:
        merged = _merged(merged, layers.get(name) or {})
    return merged


def prove(original: Mapping[str, Any], texts: Mapping[str, str], data: Mapping[str, Any], split: SplitPlan) -> None:
    """Raise ConfigError unless the layers merge to the original and only the secrets' file holds a secret."""
    if not same(merge(data), dict(original)):
        raise ConfigError(
            "the three files together would not say what the config says; nothing was written",
            "does it use anchors and aliases? Write them out, and run the step again",
        )
    every = dict(leaves(original))
    secrets = secret_texts(every, assign(original, split))
    for name in (SYSTEM, USER):
        for number, line in enumerate(texts.get(name, "").splitlines(), 1):
            if any(secret in line for secret in secrets if len(secret) >= TELLING) or any(
                _matches(word, split.secret_values) for word in WORDS.findall(line)
            ):
                raise ConfigError(
                    f"a secret would stand in line {number} of the {name} file, in a comment; nothing was written",
                    "take it out of the comment, or move the comment to a line of its own",
                )
        for path, value in leaves(data.get(name) or {}):
            if any(_holds(text, secrets) for text in _texts(value)):
                raise ConfigError(f"{'.'.join(path)}: a secret would stand in the {name} file; nothing was written")


def same(left: Any, right: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float) and left != left and right != right:
        return True  # not a number
    return type(left) is type(right) and bool(left == right)


def is_secret_key(key: str, split: SplitPlan) -> bool:
    return _matches(key, split.secret_keys)


def _layer(path: Path, value: Any, split: SplitPlan) -> str:
    is_variable = len(path) == 2 and path[0] == split.env_section
    if (is_variable and path[1] in split.secret_env) or any(is_secret_key(key, split) for key in path):
        return SECRETS
    if any(_matches(text, split.secret_values) for text in _texts(value)):
        return SECRETS
    if split.user is not None and any(path[: len(key)] == key for key in _user_keys(split)):
        return USER
    return SYSTEM


def _user_keys(split: SplitPlan) -> list[Path]:
    return [tuple(key.split(".")) for key in split.user_keys]


def _matches(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(text.lower(), glob.lower()) for glob in globs)


def _holds(text: str, secrets: frozenset[str]) -> bool:
    return any(text == secret or (len(secret) >= TELLING and secret in text) for secret in secrets)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, keys of mappings in lists included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
