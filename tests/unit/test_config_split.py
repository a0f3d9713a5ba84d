"""A config is cut into system, secrets and user: every comment, quote and value survives, provably."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.move.config_layers import assign, merge, same
from etl.move.config_split import SplitConfig, cut_config
from etl.move.move_plan import LayerPlan, SplitPlan
from etl.move.yaml_cutting import Cutter
from etl.move.yaml_reading import ConfigError, compose, parse

PLAN = SplitPlan(
    system=LayerPlan("system.yml", 0o644),
    secrets=LayerPlan("secrets.yml", 0o600),
    user=LayerPlan("user.yml", 0o644),
    user_keys=("ui", "editor.font"),
    secret_env=("LISTED",),
    secret_keys=("*_key", "token", "password"),
    secret_values=("sk-*",),
)
CONFIG = """\
# of the whole file
%s
# the server
server:
  port: 0x1F  # in hexadecimal
  # who may write
  token: 'quoted: ''twice'''
  hosts: [a, "b"]   # flow
  tls: {cert: /x.pem, private_key: abc123456, on: yes}

ui:
  theme: "dark"
  # text as it is
  banner: |+
    # not a comment
    two lines


editor:
  font: Iosevka
  tab: 4
list:
  - name: x
    note: free
plain: ${HOME}/x
copy_of: has abc123456 inside
other: sk-live-00001111
# at the end
"""


def cut(tmp_path: Path, text: str, env: str | None = None, plan: SplitPlan = PLAN) -> SplitConfig:
    config = tmp_path / "config.yml"
    config.write_text(text, encoding="utf-8")
    if env is not None:
        (tmp_path / ".env").write_text(env)
    return cut_config(config, None if env is None else tmp_path / ".env", plan)


def test_every_line_arrives_as_it_was_written(tmp_path: Path) -> None:
    """Quotes, number forms, comments and blank lines are somebody's work."""
    made = cut(tmp_path, CONFIG % "")
    assert made.texts["secrets"] == (
        "# the server\nserver:\n  # who may write\n  token: 'quoted: ''twice'''\n  tls: {private_key: abc123456}\n"
        "copy_of: has abc123456 inside\nother: sk-live-00001111\n"
    )
    assert made.texts["user"] == (
        'ui:\n  theme: "dark"\n  # text as it is\n  banner: |+\n    # not a comment\n    two lines\n\n\n'
        "editor:\n  font: Iosevka\n"
    )
    system = made.texts["system"]
    assert system.startswith("# of the whole file\n")
    assert system.endswith("plain: ${HOME}/x\n# at the end\n")
    assert '  port: 0x1F  # in hexadecimal\n  hosts: [a, "b"]   # flow\n  tls: {cert: /x.pem, on: yes}\n' in system


def test_no_comment_is_lost(tmp_path: Path) -> None:
    """Each line of comment is in one of the three."""
    made = cut(tmp_path, CONFIG % "# second line\n\n# third")
    together = "".join(made.texts.values())
    for line in (CONFIG % "# second line\n\n# third").splitlines():
        if "#" in line:
            assert line[line.index("#") :] in together


def test_what_contains_a_secret_is_one(tmp_path: Path) -> None:
    """A token inside an address is as readable as the token."""
    made = cut(tmp_path, "a_key: verysecret1\nurl: https://x/?k=verysecret1\nlist: [1, verysecret1]\nfree: 1\n")
    assert made.texts["system"] == "free: 1\n"


def test_variables_are_told_apart_by_list_name_and_form(tmp_path: Path) -> None:
    """What .env holds goes under a key of its own, as the text it was."""
    made = cut(tmp_path, "a: 1\n", env="LISTED=x1y2\nMY_KEY=v3\nANY=sk-9\nPORT=0123\nHOST='${H} \"é'\n")
    assert parse(made.texts["secrets"], tmp_path) == {"env": {"LISTED": "x1y2", "MY_KEY": "v3", "ANY": "sk-9"}}
    assert parse(made.texts["system"], tmp_path) == {"a": 1, "env": {"PORT": "0123", "HOST": '${H} "é'}}


def test_comments_that_name_secrets_go_where_the_secrets_are(tmp_path: Path) -> None:
    """An old key in a comment of a file that all may read is a leak."""
    made = cut(
        tmp_path,
        "# was verysecret1 before\na: 1\n# token: old\nb: 2\n# see sk-000\nc: 3\n# free\nd: 4\nx_key: verysecret1\n",
    )
    assert made.texts["system"] == "a: 1\nb: 2\nc: 3\n# free\nd: 4\n"
    for comment in ("# was verysecret1 before", "# token: old", "# see sk-000"):
        assert comment in made.texts["secrets"]


def test_a_secret_in_a_comment_beside_a_value_stops(tmp_path: Path) -> None:
    """Such a line cannot be moved without its value, so a person has to."""
    with pytest.raises(ConfigError, match="line 1 of the system file"):
        cut(tmp_path, "a: 1  # verysecret1\nx_key: verysecret1\n")


def test_placeholders_are_no_secrets(tmp_path: Path) -> None:
    """${TOKEN} names a secret and is none: it may stand in both files."""
    made = cut(tmp_path, "password: ${TOKEN}\nurl: ${TOKEN}\n")
    assert made.texts == {"system": "url: ${TOKEN}\n", "secrets": "password: ${TOKEN}\n", "user": ""}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n- b\n", "not a mapping"),
        ("a: [1\n", r"line \d: is not YAML"),
        ("a: 1\na: 2\n", "duplicate key"),
        ("base: &b {token: t, x: 1}\nuse: *b\n", "alias of something"),
        ("a: &b 1\ntoken: *b\n", "an alias would stand"),
        ("env: {A: 1}\n", "has a key 'env' already"),
    ],
)
def test_what_cannot_be_cut_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Rather no split than one that says something else."""
    with pytest.raises(ConfigError, match=says):
        cut(tmp_path, text, env="A=1\n" if text.startswith("env") else None)


def test_anchors_within_one_layer_stay(tmp_path: Path) -> None:
    """Aliases are no obstacle as long as both ends land in one file."""
    text = "base: &b\n  x: 1\nuse:\n  <<: *b\n  y: 2\ntoken: t\n"
    made = cut(tmp_path, text)
    assert made.texts["system"] == text.replace("token: t\n", "")


def test_an_empty_config_gives_empty_files(tmp_path: Path) -> None:
    """A file of comments alone is the system's."""
    assert cut(tmp_path, "# nothing yet\n").texts == {"system": "# nothing yet\n", "secrets": "", "user": ""}


def test_equality_tells_types_apart() -> None:
    """A 1 that became true would be another setting."""
    assert not same({"a": 1}, {"a": True})
    assert not same({"a": 1}, {"a": 1.0})
    assert same({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})


KEYS = st.sampled_from(["a", "b", "token", "ui", "my_key", "c d", "ä", "x"])
SCALARS = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "plain", "sk-123", "# no", "a: b", "${X}", "two\nlines", " x ", "'", '"', "yes", "1e3"]),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4))
)


@given(st.dictionaries(KEYS, TREES, max_size=5), st.booleans(), st.data())
def test_any_config_is_cut_without_loss(tree: dict[str, Any], flow: bool, data: st.DataObject) -> None:
    """Whatever the mapping, the layers merge to it; block and flow style, comments strewn in."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None if flow else False
    out = StringIO()
    yaml.dump(tree, out)
    text = out.getvalue()
    lines = text.splitlines()
    block_scalar = any(line.rstrip().endswith(("|", "|-", "|+", ">-", ">")) for line in lines)
    if tree and not block_scalar and all(line[:1].isalpha() for line in lines):
        place = data.draw(st.integers(0, len(lines)))
        text = "\n".join([*lines[:place], "# a comment", *lines[place:]]) + "\n"
    where = Path("config.yml")
    settings = parse(text, where) or {}
    assert same(settings, tree)
    assignment = assign(settings, PLAN)

    def layers_of(path: tuple[str, ...]) -> frozenset[str]:
        return frozenset(layer for leaf, layer in assignment.items() if leaf[: len(path)] == path)

    cutter = Cutter(text, compose(text, where), layers_of)
    layers = {name: parse(cutter.cut(name, name == "system"), where) for name in ("system", "secrets", "user")}
    assert same(merge(layers), tree)


@pytest.mark.parametrize("damage", ["lost", "changed", "leaked", "comment"])
def test_the_proof_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """A cutter that loses, changes or misplaces something is found out before a byte is written."""
    whole = Cutter.cut

    def damaged(cutter: Cutter, layer: str, with_frame: bool) -> str:
        text = whole(cutter, layer, with_frame)
        if layer != "system":
            return text
        return {
            "lost": text.replace("b: 2\n", ""),
            "changed": text.replace("b: 2", "b: 2.0"),
            "leaked": text + "password: verysecret1\n",
            "comment": text.replace("b: 2", "b: 2  # verysecret1"),
        }[damage]

    monkeypatch.setattr(Cutter, "cut", damaged)
    with pytest.raises(ConfigError, match="nothing was written"):
        cut(tmp_path, "a: 1\nb: 2\npassword: verysecret1\n")
