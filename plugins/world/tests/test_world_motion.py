"""Generated motion: limits measured from positions alone, constant bones, symmetry, seeds."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.geometry import bone_lengths, mirror_matrix
from sa3dhp_world.anatomy import ANGLES, limits, mirrored, read_data, within
from sa3dhp_world.bodies import BODY_FAMILIES, draw_bodies
from sa3dhp_world.kinematics import pose_body
from sa3dhp_world.motion import family_names, generate

BONES = skeleton()
SLACK_DEG = 0.5


@pytest.fixture(scope="module")
def motion():
    bodies = draw_bodies("source", 5, 3)
    return generate(bodies, family_names(), range(2 * len(family_names())), 45, "test"), bodies


def _limit(name: str) -> tuple[float, float]:
    low, high = read_data("limits.toml")[name]["range"]
    return low - SLACK_DEG, high + SLACK_DEG


def _in_range(name: str, degrees: torch.Tensor) -> None:
    low, high = _limit(name)
    assert low <= float(degrees.min()), f"{name} goes down to {float(degrees.min()):.1f}"
    assert float(degrees.max()) <= high, f"{name} goes up to {float(degrees.max()):.1f}"


@pytest.mark.parametrize("side,sign", [("left", -1.0), ("right", 1.0)])
def test_hips_and_knees_measured_from_positions_stay_within_limits(motion, side, sign):
    """Inverse kinematics of the leg: pelvis frame from hips and spine, thigh direction, then the hinge's plane."""
    made, _ = motion
    at = {name: made.joints[..., BONES.index(name), :] for name in BONES.joints}
    right = normalize(at["right_hip"] - at["left_hip"], dim=-1)
    # The pelvis' up axis: generated angles give it; the spine bends away from it, so it is checked against them below.
    up, forward = _pelvis_axes(made, right)
    thigh = normalize(at[f"{side}_knee"] - at[f"{side}_hip"], dim=-1)
    shank = normalize(at[f"{side}_ankle"] - at[f"{side}_knee"], dim=-1)
    lateral, ahead, above = ((thigh * axis).sum(-1) for axis in (right, forward, up))
    abduction = torch.asin((sign * lateral).clamp(-1, 1)).rad2deg()
    flexion = torch.atan2(ahead, -above).rad2deg()
    knee = torch.acos((thigh * shank).sum(-1).clamp(-1, 1)).rad2deg()
    _in_range("hip_abd", abduction)
    _in_range("hip_flex", flexion)
    _in_range("knee", knee)
    flex, abd = flexion.deg2rad(), abduction.deg2rad()
    front = forward * flex.cos().unsqueeze(-1) + up * flex.sin().unsqueeze(-1)  # thigh's front if untwisted
    back = shank - (shank * thigh).sum(-1, keepdim=True) * thigh
    bent = knee > 25
    side_axis = torch.linalg.cross(front, thigh)
    twist = torch.atan2(-(back * side_axis).sum(-1) * -sign, -(back * front).sum(-1)).rad2deg()
    assert bent.any()
    _in_range("hip_twist", twist[bent])
    assert float((back * front).sum(-1)[bent].max()) < 0, "a knee bends forward"
    assert abd.isfinite().all()


def _pelvis_axes(made, right):
    """Up and forward of the pelvis from lean and heading alone (roll is the hips' own tilt)."""
    spine = made.joints[..., BONES.index("spine"), :] - made.joints[..., BONES.index("pelvis"), :]
    bend, side, twist = (made.angles[..., ANGLES.index(name)] / 2 for name in ("bend", "side", "twist"))
    local = pose_body(_only(made.angles, bend=2 * bend, side=2 * side, twist=2 * twist), 0 * bend, _unit(made))
    offset = normalize(local[..., BONES.index("spine"), :], dim=-1)
    guess = normalize(spine, dim=-1)
    # Rotate about the hips' axis until the known local spine direction meets the observed one.
    flat = normalize(guess - (guess * right).sum(-1, keepdim=True) * right, dim=-1)
    third = torch.linalg.cross(flat, right)
    angle = torch.atan2(offset[..., 1], offset[..., 2]).unsqueeze(-1)
    up = flat * angle.cos() - third * angle.sin()
    return up, torch.linalg.cross(up, right)


def _only(angles, **kept):
    out = torch.zeros_like(angles)
    for name, value in kept.items():
        out[..., ANGLES.index(name)] = value
    return out


def _unit(made):
    return torch.ones(*made.angles.shape[:2], len(BONES))


def test_elbows_necks_and_trunks_measured_from_positions_stay_within_limits(motion):
    made, _ = motion
    at = {name: made.joints[..., BONES.index(name), :] for name in BONES.joints}
    for side in ("left", "right"):
        upper = normalize(at[f"{side}_elbow"] - at[f"{side}_shoulder"], dim=-1)
        lower = normalize(at[f"{side}_wrist"] - at[f"{side}_elbow"], dim=-1)
        _in_range("elbow", torch.acos((upper * lower).sum(-1).clamp(-1, 1)).rad2deg())
    hips = normalize(at["right_hip"] - at["left_hip"], dim=-1)
    _in_range("roll", -torch.asin(hips[..., 2].clamp(-1, 1)).rad2deg())
    lower, upper = at["spine"] - at["pelvis"], at["thorax"] - at["spine"]
    turn = torch.acos((normalize(lower, dim=-1) * normalize(upper, dim=-1)).sum(-1).clamp(-1, 1)).rad2deg()
    assert float(turn.max()) <= math.hypot(35, 22.5) + SLACK_DEG  # half of bend, side and twist a joint


def test_every_angle_lies_strictly_within_its_limits(motion):
    made, _ = motion
    bounds = limits()
    assert bool((made.angles >= bounds.low - 1e-5).all() and (made.angles <= bounds.high + 1e-5).all())


def test_within_is_the_identity_inside_and_never_leaves():
    bounds = limits()
    middle = (bounds.low + bounds.high) / 2
    assert torch.allclose(within(middle), middle, atol=1e-6)
    wild = torch.randn(500, len(ANGLES), generator=torch.Generator().manual_seed(0)) * 20
    assert bool((within(wild) >= bounds.low - 1e-5).all() and (within(wild) <= bounds.high + 1e-5).all())


def test_bone_lengths_are_the_body_s_and_constant(motion):
    made, bodies = motion
    lengths = bone_lengths(made.joints, BONES)
    expected = bodies.lengths_m[made.body][:, None, list(BONES.bones)]
    if lengths.shape[-1] == len(BONES):
        lengths = lengths[..., list(BONES.bones)]
    assert float((lengths - expected).abs().max()) < 1e-5


def test_a_sequence_depends_on_its_index_alone():
    bodies = draw_bodies("source", 4, 0)
    many = generate(bodies, ("walk", "kick", "free"), range(9), 20, "a", 1)
    one = generate(bodies, ("walk", "kick", "free"), range(7, 8), 20, "a", 1)
    assert torch.equal(many.joints[7:8], one.joints) and many.family[7] == one.family[0] == "kick"
    assert not torch.equal(one.joints, generate(bodies, ("walk", "kick", "free"), range(7, 8), 20, "a", 2).joints)


def test_mirrored_angles_make_the_mirrored_pose():
    draws = torch.Generator().manual_seed(1)
    bounds, lengths = limits(), draw_bodies("street", 6, 0).lengths_m
    angles = bounds.low + (bounds.high - bounds.low) * torch.rand(6, len(ANGLES), generator=draws)
    yaw = torch.randn(6, generator=draws)
    expected = (pose_body(angles, yaw, lengths) @ mirror_matrix())[:, BONES.mirror]
    assert torch.allclose(pose_body(mirrored(angles), -yaw, lengths), expected, atol=1e-5)


def test_motion_is_smooth_and_lively(motion):
    made, _ = motion
    relative = made.joints - made.joints[:, :, :1]
    speed = relative.diff(dim=1).norm(dim=-1) * 30
    change = relative.diff(n=2, dim=1).norm(dim=-1)
    assert 0.15 < float(speed.mean()) < 1.5
    assert float(change.max()) < 0.25
    assert float(made.joints[..., 2].min()) > -0.1


def test_bodies_differ_and_are_symmetric():
    for name in BODY_FAMILIES:
        lengths = draw_bodies(name, 50, 0).lengths_m
        for left, right in BONES.pairs:
            assert torch.equal(lengths[:, BONES.index(left)], lengths[:, BONES.index(right)])
        knee = lengths[:, BONES.index("left_knee")]
        assert 0.02 < float(knee.std() / knee.mean()) < 0.12
    assert draw_bodies("street", 50, 0).girth.mean() > 1.1 * draw_bodies("source", 50, 0).girth.mean()


def test_unknown_names_get_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'walk'"):
        generate(draw_bodies("source", 1, 0), ("wlk",), range(1), 5)
    with pytest.raises(RecipeError, match="did you mean 'street'"):
        draw_bodies("stret", 1)
