"""The renderer: exact under mirror and rotation, equal to a slow reference, symmetric in what it draws."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import part_labels, skeleton
from sa3dhp_core.geometry import mirror_matrix, project, rotation_z, smallest_circle
from sa3dhp_world.bodies import draw_bodies
from sa3dhp_world.data import generated_actors, render_clips
from sa3dhp_world.looks import look
from sa3dhp_world.render import Camera, render
from sa3dhp_world.stage import Bystanders, appearance, crop_cameras, develop, draw_setting, stage, who_stands_by
from sa3dhp_world.strokes import LABELS, dress

SIZE = 40
BONES = skeleton()


def scenes(name: str = "street", clips: int = 2, size: int = SIZE, seed: int = 0):
    chosen = look(name, detail=0.3, clutter=0.1, limbs=0.05)
    bodies = draw_bodies(chosen.bodies, 3, seed)
    joints, girth, _ = generated_actors(chosen.families, bodies, range(clips), 2, seed)
    others, width, _ = generated_actors(chosen.families, bodies, range(50, 50 + clips), 2, seed)
    settings_ = [draw_setting(seed, i) for i in range(clips)]
    crowd = Bystanders(torch.ones(clips, 1, dtype=torch.bool), others, width)
    scene, rotation, centre = stage(chosen, joints, girth, settings_, (0,), crowd)
    return scene, crop_cameras(rotation, centre, scene.joints, size)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 20), st.sampled_from([33, 40, 64]))
def test_a_mirrored_scene_is_the_flipped_image(seed, size):
    scene, camera = scenes(seed=seed, size=size, clips=1)
    plain, acted = render(scene, camera, (size, size)), render(scene, camera, (size, size), action=mirror_matrix())
    assert torch.allclose(acted.images, plain.images.flip(-1), atol=1e-5)
    assert torch.equal(acted.parts, torch.tensor(part_labels().mirror, dtype=torch.uint8)[plain.parts.long()].flip(-1))
    assert torch.allclose(acted.keypoints[:, BONES.mirror, 0], size - plain.keypoints[..., 0], atol=1e-3)
    assert torch.allclose(acted.joints, (plain.joints * torch.tensor([-1.0, 1, 1]))[:, BONES.mirror], atol=1e-5)


@settings(max_examples=6, deadline=None)
@given(st.floats(-3.1, 3.1))
def test_a_rotated_scene_is_the_image_at_rotated_points(angle):
    scene, camera = scenes()
    turn = rotation_z(torch.tensor(angle))
    acted = render(scene, camera, (SIZE, SIZE), action=turn)
    sampled = render(scene, camera, (SIZE, SIZE), grid=turn[:2, :2].t())
    off = (acted.images - sampled.images).abs().amax(dim=1)
    assert float((off > 1e-3).float().mean()) < 2e-3  # pixels exactly on an edge may fall to either side
    assert float(off.mean()) < 1e-4


def test_a_quarter_turn_is_rot90():
    scene, camera = scenes()
    acted = render(scene, camera, (SIZE, SIZE), action=rotation_z(torch.tensor(math.pi / 2)))
    off = (acted.images - torch.rot90(render(scene, camera, (SIZE, SIZE)).images, -1, (-2, -1))).abs()
    assert float((off > 1e-3).float().mean()) < 2e-3


def test_what_is_seen_equals_a_slow_reference():
    """Every pixel against every stroke, in double precision: label, depth and which pixels see anything."""
    scene, camera = scenes(clips=1)
    picture = render(scene, camera, (SIZE, SIZE))
    for n in range(len(camera.centre)):
        ends = camera.see(scene.strokes.ends)[n].double()
        focal = float(camera.intrinsics[n, 0, 0])
        best = torch.zeros(SIZE, SIZE, dtype=torch.float64)
        label = torch.zeros(SIZE, SIZE, dtype=torch.long)
        y, x = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2] * 2, indexing="ij")
        for p in range(ends.shape[0]):
            (a, b), (ra, rb) = ends[p], scene.strokes.radii[n, p].double()
            if float(ra + rb) == 0 or float(min(a[2], b[2])) < 0.2:
                continue
            ax, ay, bx, by = (float(focal * v[i] / v[2]) for v in (a, b) for i in (0, 1))
            length = math.hypot(bx - ax, by - ay)
            t = (((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2).clamp(0, 1)
            distance = torch.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay))
            first, last = float(ra / a[2]) * focal, float(rb / b[2]) * focal
            radius = first + t * (last - first)
            near = 1 / a[2] + t * (1 / b[2] - 1 / a[2])
            near = near * (1 + near * (radius**2 - distance**2).clamp(min=0).sqrt() / focal)
            wins = (distance < radius + 0.5) & (near > best)
            best = torch.where(wins, near, best)
            label = torch.where(wins, int(scene.strokes.label[n, p]), label)
        assert float((picture.parts[n] != label).float().mean()) < 0.01  # depth ties within a key's resolution
        seen = best > 0
        assert float((torch.isfinite(picture.depth[n]) != seen).float().mean()) < 1e-3
        both = seen & torch.isfinite(picture.depth[n])
        assert float((picture.depth[n][both] - 1 / best[both]).abs().quantile(0.99)) < 2e-3


def test_a_mirrored_person_looks_like_the_mirror_image():
    """Clothes, labels and shapes are even: dressing the mirrored pose equals mirroring the dressed pose."""
    scene, camera = scenes(name="plain", clips=1)
    flip = mirror_matrix()
    grey = attrs.evolve(scene.backdrop, bank=torch.full_like(scene.backdrop.bank, 0.5))
    scene = attrs.evolve(scene, backdrop=grey)
    people = attrs.evolve(camera, rotation=torch.eye(3).expand(2, 3, 3), centre=torch.zeros(2, 3))
    seen = camera.see(scene.joints)
    worn = appearance(look("street"), draw_setting(1).uniform.expand(2, -1))
    make = lambda joints: attrs.evolve(scene, joints=joints, strokes=dress(joints, torch.ones(2), worn))  # noqa: E731
    plain = render(make(seen), people, (SIZE, SIZE), action=flip)
    made = make((seen @ flip)[:, BONES.mirror])
    made = attrs.evolve(made, light=scene.light @ flip)
    other = render(made, people, (SIZE, SIZE))
    person = plain.parts > 0
    assert person.any() and torch.equal(person, other.parts > 0)
    off = (plain.images - other.images).abs().amax(dim=1)[person]
    assert len(off) > 50 and float((off > 1e-3).float().mean()) < 0.01


def test_crops_hold_the_person_and_labels_lie_on_the_bones():
    scene, camera = scenes(clips=3, size=64)
    picture = render(scene, camera, (64, 64))
    centre, radius = smallest_circle(picture.keypoints)
    assert torch.allclose(radius, torch.full_like(radius, 32 / 1.15), rtol=0.08)
    assert float((centre - 32).abs().max()) < 2
    assert torch.allclose(project(picture.joints, camera.intrinsics), picture.keypoints, atol=1e-3)
    assert set(picture.parts.unique().tolist()) <= set(range(len(LABELS)))


def test_odd_sizes_and_one_pixel_tiles_agree():
    scene, camera = scenes(clips=1)
    wide = Camera(camera.rotation, camera.centre, camera.intrinsics.clone())
    wide.intrinsics[:, 0, 2] += 5.5  # principal point of a frame 11 pixels wider
    whole = render(scene, wide, (SIZE + 11, SIZE)).images[..., 5:-5]
    wide.intrinsics[:, 0, 2] -= 5.5
    shifted = Camera(camera.rotation, camera.centre, camera.intrinsics.clone())
    shifted.intrinsics[:, 0, 2] += 0.5
    assert torch.allclose(whole, render(scene, shifted, (SIZE + 1, SIZE)).images, atol=1e-4)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 1.0, 2.0]))
def test_a_clip_is_rendered_alone_as_among_others_whoever_stands_by(first, bystanders):
    chosen = look("street", bystanders=bystanders)
    bodies, rows = draw_bodies(chosen.bodies, 3, 0), range(first, first + 5)

    def rendered(rows: range):
        return render_clips(chosen, generated_actors(chosen.families, bodies, rows, 1, 0), bodies, rows, 24, (0,), 0)

    together = rendered(rows)
    for place, index in enumerate(rows):
        alone = rendered(range(index, index + 1))
        assert torch.allclose(together["poses"][place], alone["poses"][0], atol=1e-5)
        levels = (together["images"][place].int() - alone["images"][0].int()).abs()
        assert (levels > 2).float().mean() < 0.002  # sums of another order may move an edge's pixel


def test_bystanders_are_seen_and_are_as_many_as_the_look_says():
    chosen = look("street", bystanders=0.6, occluders=0.0, objects=0.0)
    settings_ = [draw_setting("crowd", i) for i in range(400)]
    present = who_stands_by(chosen, settings_)
    assert abs(float(present.float().sum(1).mean()) - 0.6) < 0.1
    bodies, rows = draw_bodies(chosen.bodies, 3, 0), range(40)
    actors = generated_actors(chosen.families, bodies, rows, 1, "crowd")
    with_them = render_clips(chosen, actors, bodies, rows, 32, (0,), "crowd")["images"]
    without = render_clips(attrs.evolve(chosen, bystanders=0.0), actors, bodies, rows, 32, (0,), "crowd")["images"]
    changed = (with_them != without).flatten(1).any(1)
    assert not (changed & ~present[:40].any(1)).any()
    assert changed.float().sum() >= 0.5 * present[:40].any(1).float().sum()


def test_the_developed_clip_depends_on_its_seed():
    chosen, image = look("street"), torch.full((2, 3, 16, 16), 0.5)
    first, again, other = (develop(chosen, image.clone(), draw_setting(0), seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0 <= float(first.min()) and float(first.max()) <= 1


@pytest.mark.parametrize("name", ["plain", "mild", "street"])
def test_looks_render_finite_pictures(name):
    scene, camera = scenes(name=name, clips=1)
    picture = render(scene, camera, (SIZE, SIZE))
    assert torch.isfinite(picture.images).all() and float(picture.images.std()) > 0.02
    assert float((picture.parts > 0).float().mean()) > 0.05
