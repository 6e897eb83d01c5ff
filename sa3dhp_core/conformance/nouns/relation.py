"""What a relation must keep: one action on poses, keypoints and crops, exact laws, honest time.

Everything goes through the protocol (`sa3dhp_core.protocols.relation`), so a relation may be anything that keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.figures import picture
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.strategies import cameras, seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import PICTURE, PIXELS_PX, need_equal
from sa3dhp_core.geometry import act_on_keypoints, bone_lengths, handedness, project
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.types import Spatial

NOUN = "relation"
SIZE, FOCAL_PX, DISTANCE_M = 96, 190.0, 5.0
"""A crop of the bench: its pixels, its focal length, and how far away the person stands."""

DARK = 0.01
"""Mean brightness under which a picture of the bench shows too little to compare."""

shapes = st.sampled_from([(), (1,), (3,), (2, 3)])
lengths = st.integers(1, 40)


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A relation is built for a skeleton."""
    return {"skeleton": bench.skeleton}


def drawn(relation: Relation, bench: Bench, shape: tuple[int, ...], seed: int) -> Spatial:
    """Elements of a relation, from a generator of their own."""
    return relation.draw(shape, bench.generator("draw", seed))


@check(NOUN, "has a name, a width of its condition, and says whether it acts on time")
def has_the_attributes(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    must(isinstance(relation, Relation), "lacks an attribute of the protocol", sorted(_lacking(relation)))
    must(isinstance(relation.name, str) and relation.name, "name is no text", repr(relation.name))
    must(type(relation.condition) is int and relation.condition >= 0, "condition is no width", relation.condition)
    must(type(relation.acts_on_time) is bool, "acts_on_time is no bool", relation.acts_on_time)


def _lacking(relation: Any) -> list[str]:
    wanted = ("name", "condition", "acts_on_time", "draw", "temporal", "on_poses", "on_images")
    return [name for name in wanted if not hasattr(relation, name)]


@check(NOUN, "draws orthogonal matrices with the leading axes asked for, and conditions of the width that it states")
def draws_orthogonal_elements(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)

    @bench.for_all(shape=shapes, seed=seeds)
    def holds(shape: tuple[int, ...], seed: int) -> None:
        spatial = drawn(relation, bench, shape, seed)
        matrix, condition = spatial.matrix, spatial.condition
        must(matrix.shape == (*shape, 3, 3), "matrices of a wrong shape", tuple(matrix.shape), (*shape, 3, 3))
        wanted = (*shape, relation.condition)
        must(condition.shape == wanted, "conditions of a wrong shape", tuple(condition.shape), wanted)
        identity = torch.eye(3, dtype=torch.float64).expand(*shape, 3, 3)
        square = matrix.double() @ matrix.double().mT
        need_equal(square, identity, "a matrix is not orthogonal", of=matrix.dtype)
        must(bool(condition.isfinite().all()), "a condition is not finite")


@check(NOUN, "draws from the generator that it is given alone: the same one gives the same elements")
def draws_from_its_generator_alone(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    before = torch.get_rng_state()
    first, second = (drawn(relation, bench, (64,), 0) for _ in range(2))
    must(torch.equal(before, torch.get_rng_state()), "draws from the global generator")
    same = torch.equal(first.matrix, second.matrix) and torch.equal(first.condition, second.condition)
    must(same, "two draws from equal generators differ")


@check(NOUN, "tells a network which element it drew: elements differ only where their conditions do")
def tells_its_element(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    spatial = drawn(relation, bench, (64,), 1)
    apart = (spatial.matrix[:, None] - spatial.matrix[None]).abs().flatten(-2).amax(-1) > 1e-3
    told = (spatial.condition[:, None] - spatial.condition[None]).abs().sum(-1) > 0
    must(
        not bool((apart & ~told).any()),
        "two different elements have the same condition",
        f"condition {relation.condition}",
        "0 for a single element; else enough numbers to tell the elements apart",
    )


@check(NOUN, "moves a pose as its matrix does, left and right joints exchanged where it mirrors", ["geometric"])
def moves_poses_as_its_matrix(subject: Subject, bench: Bench) -> None:
    relation, body = subject.make(bench), bench.skeleton

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        poses, spatial = bench.poses(4, seed=seed), drawn(relation, bench, (4,), seed)
        moved = relation.on_poses(poses, spatial)
        mirrored = handedness(spatial.matrix) < 0
        for number, joint in ((n, j) for n in range(4) for j in range(len(body))):
            source = body.mirror[joint] if mirrored[number] else joint
            expected = spatial.matrix[number].double() @ poses[number, source]
            what = f"{body.joints[joint]} is not where the matrix takes {body.joints[source]}"
            need_equal(moved[number, joint], expected, what, of=spatial.matrix.dtype)


@check(NOUN, "acts alike on poses and on their projected keypoints: project(M y) = K M K^-1 project(y)", ["geometric"])
def acts_alike_on_keypoints(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)

    @bench.for_all(seed=seeds, camera=cameras())
    def holds(seed: int, camera: Tensor) -> None:
        poses, spatial = 0.3 * bench.poses(4, seed=seed), drawn(relation, bench, (4,), seed)
        matrix, root = spatial.matrix.double(), torch.tensor([0.0, 0.0, DISTANCE_M], dtype=torch.float64)
        seen = act_on_keypoints(matrix, project(poses + root, camera), camera, bench.skeleton)
        moved = project(relation.on_poses(poses, spatial) + (matrix @ root)[:, None], camera)
        apart = float((seen - moved).norm(dim=-1).max())
        limit = PIXELS_PX * float(camera[0, 0]) / 100
        must(apart <= limit, "keypoints and poses move apart", f"{apart:.3g} px", f"at most {limit:.2g} px")


@check(NOUN, "keeps every bone's length; where it mirrors, a bone takes that of its mirror image", ["keeps-bones"])
def keeps_bone_lengths(subject: Subject, bench: Bench) -> None:
    relation, body = subject.make(bench), bench.skeleton

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        poses, spatial = bench.poses(5, seed=seed), drawn(relation, bench, (5,), seed)
        own, exchanged = (bone_lengths(p, body) for p in (poses, poses[:, list(body.mirror)]))
        mirrored = (handedness(spatial.matrix) < 0)[:, None]
        expected = torch.where(mirrored, exchanged, own)
        found = bone_lengths(relation.on_poses(poses, spatial), body)
        need_equal(found, expected, "a bone changes its length", of=spatial.matrix.dtype)


@check(NOUN, "exchanges left and right joints exactly where its element mirrors", ["geometric"])
def exchanges_mirror_pairs(subject: Subject, bench: Bench) -> None:
    relation, body = subject.make(bench), bench.skeleton
    spatial = drawn(relation, bench, (16,), 2)
    for left, right in body.pairs:
        poses = torch.zeros(16, len(body), 3, dtype=torch.float64)
        poses[:, body.index(left)] = torch.tensor([0.3, 0.2, 0.1], dtype=torch.float64)
        moved = relation.on_poses(poses, spatial)
        far = moved.norm(dim=-1)
        at = torch.where(handedness(spatial.matrix) < 0, body.index(right), body.index(left))
        must(bool((far.argmax(-1) == at).all()), f"{left} and {right} are not exchanged as the element asks")


@check(NOUN, "keeps the poses' dtype, device and leading axes; an element acts on all axes that follow its own")
def keeps_dtype_device_and_axes(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    for device in bench.devices:
        for dtype in (torch.float32, torch.float64):
            for shape in ((), (3,), (3, 4)):
                poses = bench.poses(*shape, dtype=dtype).to(device)
                spatial = _placed(drawn(relation, bench, shape[:1], 0), device)
                moved = relation.on_poses(poses, spatial)
                found = (moved.dtype, moved.device, tuple(moved.shape))
                wanted = (poses.dtype, poses.device, tuple(poses.shape))
                must(found == wanted, "on_poses changes dtype, device or shape", found, wanted)
                if shape == (3, 4):
                    single = relation.on_poses(poses[:, 0], spatial)
                    need_equal(moved[:, 0], single, "an element of a clip moves its frames differently")


def _placed(spatial: Spatial, device: torch.device) -> Spatial:
    return Spatial(spatial.matrix.to(device), spatial.condition.to(device))


@check(NOUN, "is differentiable in the pose")
def is_differentiable(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    spatial = drawn(relation, bench, (2,), 3)
    poses = bench.poses(2, seed=3).requires_grad_()
    moved = relation.on_poses(poses, spatial)
    must(moved.requires_grad, "the moved pose has no gradient")
    kept = torch.autograd.gradcheck(lambda p: relation.on_poses(p, spatial), (poses,), raise_exception=False)
    must(kept, "the gradient is not that of the action", expected="torch.autograd.gradcheck passes in double precision")


@check(NOUN, "leaves what it is given as it was, and answers the same question alike")
def leaves_its_input_alone(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    poses, spatial = bench.poses(3), drawn(relation, bench, (3,), 0)
    kept, matrix = poses.clone(), spatial.matrix.clone()
    first, second = relation.on_poses(poses, spatial), relation.on_poses(poses, spatial)
    must(torch.equal(poses, kept) and torch.equal(spatial.matrix, matrix), "on_poses changes its input")
    must(torch.equal(first, second), "on_poses answers the same question differently")


@check(NOUN, "names as many anchor and partner frames as it is asked for, all inside the window that it asks for")
def re_indexes_time_inside_its_window(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)

    @bench.for_all(frames=lengths)
    def holds(frames: int) -> None:
        time = relation.temporal(frames)
        for name, indices in (("anchor", time.anchor), ("partner", time.partner)):
            must(len(indices) == frames, f"the {name} has a wrong length", len(indices), frames)
            inside = all(0 <= index < time.window for index in indices)
            must(inside, f"the {name} leaves the window", (min(indices), max(indices)), (0, time.window - 1))
            must(len(set(indices)) == frames, f"the {name} shows a frame twice", indices)
        must(list(time.anchor) == sorted(time.anchor), "the anchor does not run forward", time.anchor)


@check(NOUN, "says that it acts on time exactly where anchor and partner are different frames")
def says_whether_it_acts_on_time(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    time = relation.temporal(30)
    must(
        relation.acts_on_time == (time.anchor != time.partner),
        "acts_on_time contradicts temporal(30)",
        f"acts_on_time {relation.acts_on_time}, frames {'differ' if time.anchor != time.partner else 'agree'}",
    )


@check(
    NOUN, "commutes with rendering: the picture of the moved pose is the moved picture of the pose", ["acts-on-images"]
)
def commutes_with_rendering(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    camera = bench_camera()
    spatial = drawn(relation, bench, (4,), 4)
    poses = 0.9 * bench.poses(4, seed=4)
    root = torch.tensor([0.0, 0.0, DISTANCE_M], dtype=torch.float64)
    for number in range(4):
        one = Spatial(spatial.matrix[number], spatial.condition[number])
        seen = picture(poses[number] + root, camera, SIZE, bench.skeleton)
        moved_root = spatial.matrix[number].double() @ root
        expected = picture(relation.on_poses(poses[number], one) + moved_root, camera, SIZE, bench.skeleton)
        found = relation.on_images(seen, one, camera)
        must(found.shape == expected.shape, "on_images changes the shape", tuple(found.shape), tuple(expected.shape))
        inside = _inside(spatial.matrix[number].double(), camera)
        apart = float((found - expected).abs().mean(0)[inside].mean())
        level = float(expected.mean(0)[inside].mean())
        must(
            level > DARK, "the moved crop shows next to nothing of the person; turn less far", f"brightness {level:.3f}"
        )
        must(apart <= PICTURE * level, "pictures and poses move apart", f"{apart / level:.3f}", f"at most {PICTURE}")


def bench_camera() -> Tensor:
    """``(3, 3)`` double: the crop's own virtual camera."""
    middle = SIZE / 2
    return torch.tensor([[FOCAL_PX, 0.0, middle], [0.0, FOCAL_PX, middle], [0.0, 0.0, 1.0]], dtype=torch.float64)


def _inside(matrix: Tensor, camera: Tensor) -> Tensor:
    """``(SIZE, SIZE)``: pixels whose origin under the homography lies well inside the crop."""
    axis = torch.arange(SIZE, dtype=torch.float64) + 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    points = torch.cat([grid, torch.ones_like(grid[..., :1])], dim=-1)
    back = points @ (camera @ matrix.mT @ torch.linalg.inv(camera)).mT
    origin = back[..., :2] / back[..., 2:]
    return ((origin > 1) & (origin < SIZE - 1)).all(-1) & (back[..., 2] > 0)


@check(NOUN, "keeps the crops' shape, dtype and range, and a uniform crop uniform", ["acts-on-images"])
def keeps_crops_in_range(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    for dtype in (torch.float32, torch.float64):
        images = torch.rand(2, 3, 3, 24, 24, generator=bench.generator("crops"), dtype=dtype)
        camera = (bench_camera() * 0.25).to(dtype)
        camera[2, 2] = 1.0
        spatial = drawn(relation, bench, (2,), 5)
        moved = relation.on_images(images, spatial, camera.expand(2, 3, 3, 3))
        found, wanted = (tuple(moved.shape), moved.dtype), (tuple(images.shape), images.dtype)
        must(found == wanted, "on_images changes shape or dtype", found, wanted)
        low, high = float(moved.min()), float(moved.max())
        must(-1e-3 <= low and high <= 1 + 1e-3, "pixels leave [0, 1]", (low, high))
        grey = relation.on_images(torch.full_like(images, 0.5), spatial, camera.expand(2, 3, 3, 3))
        need_equal(grey, torch.full_like(images, 0.5), "a grey crop does not stay grey", factor=10)


@check(NOUN, "the same element twice is the identity, in space and in time", ["involution"])
def twice_is_the_identity(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        poses, spatial = bench.poses(3, seed=seed), drawn(relation, bench, (3,), seed)
        twice = relation.on_poses(relation.on_poses(poses, spatial), spatial)
        need_equal(twice, poses, "acting twice is not the identity", factor=4, of=spatial.matrix.dtype)

    time = relation.temporal(30)
    pairs = set(zip(time.anchor, time.partner, strict=True))
    must(pairs == {(b, a) for a, b in pairs}, "time twice is not the identity", sorted(pairs)[:3])


@check(NOUN, "its inverse undoes it: the element on poses, and the roles of anchor and partner in time", ["invertible"])
def inverse_undoes(subject: Subject, bench: Bench) -> None:
    relation = subject.make(bench)
    inverse: Any = relation.inverse()
    if relation.condition == 0:
        poses = bench.poses(3)
        there = relation.on_poses(poses, drawn(relation, bench, (3,), 0))
        spatial = drawn(inverse, bench, (3,), 0)
        need_equal(
            inverse.on_poses(there, spatial), poses, "the inverse does not undo it", factor=4, of=spatial.matrix.dtype
        )
    must(
        inverse.condition == relation.condition,
        "the inverse is of another family",
        inverse.condition,
        relation.condition,
    )
    twice: Any = inverse.inverse()
    must(twice == relation, "the inverse of the inverse is not the relation", twice, relation)
    forward, back = relation.temporal(12), inverse.temporal(12)
    found, wanted = (set(zip(t.anchor, t.partner, strict=True)) for t in (back, forward))
    must(found == {(b, a) for a, b in wanted}, "the inverse does not exchange anchor and partner", sorted(found)[:3])


@check(NOUN, "`a @ b` acts as b first, then a, and equals itself however it is bracketed", ["composes"])
def composes_right_first(subject: Subject, bench: Bench) -> None:
    relation: Any = subject.make(bench)
    square, cube = relation @ relation, relation @ (relation @ relation)
    must((relation @ relation) @ relation == cube, "composition is not associative")
    if relation.condition == 0:
        poses = bench.poses(3)
        spatial = drawn(relation, bench, (3,), 0)
        stepwise = relation.on_poses(relation.on_poses(poses, spatial), spatial)
        found = square.on_poses(poses, drawn(square, bench, (3,), 0))
        need_equal(found, stepwise, "`r @ r` is not r after r", factor=4, of=spatial.matrix.dtype)
