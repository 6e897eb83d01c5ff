"""The registry's cards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sa3dhp_core import cards
from sa3dhp_core.errors import RecipeError


def test_house_skeleton_is_a_tree_with_mirror_pairs() -> None:
    skeleton = cards.skeleton("h36m-17")
    assert len(skeleton) == 17
    assert len(skeleton.bones) == 16
    assert skeleton.index(skeleton.root) not in skeleton.bones
    mirrored = [skeleton.joints[i] for i in skeleton.mirror]
    for joint, partner in zip(skeleton.joints, mirrored, strict=True):
        swapped = joint.replace("left", "*").replace("right", "left").replace("*", "right")
        assert partner == swapped
    assert set(skeleton.bone_lengths_m) == set(skeleton.joints) - {skeleton.root}


@pytest.mark.parametrize("card", cards.card_ids("part_labels"))
def test_part_labels_begin_with_the_background_and_have_a_mirror(card: str) -> None:
    labels = cards.part_labels(card)
    assert labels.id == card and labels.names[0] == "background" and labels.mirror[0] == 0
    assert [labels.mirror[i] for i in labels.mirror] == list(range(len(labels)))
    sided = {name for name in labels.names if name.startswith(("left_", "right_"))}
    assert sided == {name for pair in labels.pairs for name in pair}
    assert all(right == left.replace("left_", "right_") for left, right in labels.pairs)


def test_unknown_card_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="h36m-17"):
        cards.read_card("skeletons", "h36m-16")


def test_every_card_of_the_registry_is_readable() -> None:
    files = sorted(cards.registry_folder().rglob("*.toml"))
    assert files
    for file in files:
        assert cards.read_toml(file)


@pytest.mark.parametrize("content", [b"a = [1,", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"broken\.toml"):
        cards.read_toml(path)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(RecipeError, match=str(path)):
            cards.read_toml(path)


def test_reading_cards_needs_no_torch() -> None:
    code = "import sys; from sa3dhp_core.cards import read_card; read_card('skeletons', 'h36m-17'); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("card", cards.card_ids("skeletons"))
def test_what_the_house_calls_joints_tells_them_apart(card: str) -> None:
    body = cards.skeleton(card)
    assert set(body.house_names) <= set(body.joints)
    assert set(body.house_names.values()) <= set(cards.skeleton().joints)
    assert len({body.house_names.get(joint, joint) for joint in body.joints}) == len(body)
    assert body.house_names == {} or body.id != cards.skeleton().id
