"""Geometry: mathematics without state, batched, on any device and dtype."""

from sa3dhp_core.geometry.alignment import procrustes
from sa3dhp_core.geometry.cameras import (
    crop,
    minimal_rotation,
    project,
    smallest_circle,
    viewpoint,
    virtual_camera,
)
from sa3dhp_core.geometry.kinematics import (
    bone_lengths,
    bone_vectors,
    directions,
    forward_kinematics,
    from_local_directions,
    local_directions,
    root_rotation,
)
from sa3dhp_core.geometry.orthogonal import (
    act_on_images,
    act_on_keypoints,
    act_on_poses,
    mirror_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
)

__all__ = [
    "act_on_images",
    "act_on_keypoints",
    "act_on_poses",
    "bone_lengths",
    "bone_vectors",
    "crop",
    "directions",
    "forward_kinematics",
    "from_local_directions",
    "local_directions",
    "minimal_rotation",
    "mirror_matrix",
    "procrustes",
    "project",
    "root_rotation",
    "rotation_x",
    "rotation_y",
    "rotation_z",
    "smallest_circle",
    "viewpoint",
    "virtual_camera",
]
