"""Stateless mathematics of poses and cameras: batched, differentiable, on any device. Holds no state, draws nothing."""

from sa3dhp_core.geometry.alignment import fit_scale, procrustes
from sa3dhp_core.geometry.bends import bends_deg, within_limits
from sa3dhp_core.geometry.cameras import project, rays, root_position, turn_between, viewpoint, virtual_camera
from sa3dhp_core.geometry.circles import smallest_circle
from sa3dhp_core.geometry.crops import CropPlan, crop, frame_pixels_across, plan_crops
from sa3dhp_core.geometry.homographies import act_on_images, act_on_parts, centred_camera
from sa3dhp_core.geometry.invariants import Ambiguity, ambiguity, commutant, fixed_poses, generators, named_maps
from sa3dhp_core.geometry.kinematics import (
    bone_directions,
    bone_lengths,
    bone_vectors,
    forward_kinematics,
    from_local_directions,
    local_directions,
    rest_directions,
    root_rotation,
    standard_lengths,
)
from sa3dhp_core.geometry.orthogonal import (
    act_on_cameras,
    act_on_keypoints,
    act_on_poses,
    handedness,
    mirror_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
)
from sa3dhp_core.geometry.placing import root_in_circle
from sa3dhp_core.geometry.smoothing import OneEuro, average_over_time, one_euro

__all__ = [
    "Ambiguity",
    "OneEuro",
    "act_on_cameras",
    "act_on_images",
    "act_on_keypoints",
    "act_on_parts",
    "act_on_poses",
    "ambiguity",
    "average_over_time",
    "bends_deg",
    "bone_directions",
    "bone_lengths",
    "bone_vectors",
    "centred_camera",
    "commutant",
    "crop",
    "CropPlan",
    "fit_scale",
    "fixed_poses",
    "forward_kinematics",
    "frame_pixels_across",
    "from_local_directions",
    "generators",
    "handedness",
    "local_directions",
    "mirror_matrix",
    "named_maps",
    "one_euro",
    "procrustes",
    "plan_crops",
    "project",
    "rays",
    "rest_directions",
    "root_in_circle",
    "root_position",
    "root_rotation",
    "rotation_x",
    "rotation_y",
    "rotation_z",
    "smallest_circle",
    "standard_lengths",
    "turn_between",
    "viewpoint",
    "virtual_camera",
    "within_limits",
]
