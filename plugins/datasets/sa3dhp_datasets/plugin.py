"""What this distribution offers. Holds descriptors only; reads no file and imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl

_TEST_ALONE = "a set for evaluation has no split to learn from"


@hookimpl
def sa3dhp_pose_data() -> Sequence[Component]:
    """Motion capture."""
    return (
        Component(
            noun="pose_data",
            id="amass",
            summary="AMASS, both releases, with joints by your own SMPL-H or SMPL-X body model",
            config="sa3dhp_datasets.config:AmassConfig",
            target="sa3dhp_datasets.amass:amass_motion",
            example="sa3dhp_datasets.amass_example:amass",
        ),
        Component(
            noun="pose_data",
            id="bvh",
            summary="Motion capture from BVH files, mapped to the house skeleton by joint names",
            config="sa3dhp_datasets.config:BvhConfig",
            target="sa3dhp_datasets.bvh:bvh_motion",
            capabilities=frozenset(("families",)),
            example="sa3dhp_datasets.example:bvh",
        ),
        Component(
            noun="pose_data",
            id="cmu-asf-amc",
            summary="CMU motion capture: folders of subjects with an ASF skeleton and AMC trials",
            config="sa3dhp_datasets.config:AsfAmcConfig",
            target="sa3dhp_datasets.asf_amc:asf_amc_motion",
            example="sa3dhp_datasets.acclaim_example:cmu",
        ),
        Component(
            noun="pose_data",
            id="human36m",
            summary="Motion of Human3.6M, from its CDF files, in a world with z up",
            config="sa3dhp_datasets.config:ShotMotionConfig",
            target="sa3dhp_datasets.human36m:human36m_motion",
            capabilities=frozenset(("families",)),
            example="sa3dhp_datasets.human36m_example:human36m_poses",
        ),
        Component(
            noun="pose_data",
            id="mocap-npz",
            summary="Motion capture from npz files of joint positions with clip starts and names",
            config="sa3dhp_datasets.config:MocapNpzConfig",
            target="sa3dhp_datasets.mocap_npz:npz_motion",
            capabilities=frozenset(("families",)),
            example="sa3dhp_datasets.example:mocap_npz",
        ),
    )


@hookimpl
def sa3dhp_image_data() -> Sequence[Component]:
    """Footage."""
    return (
        Component(
            noun="image_data",
            id="joined",
            summary="Several image data sets as one: SURREAL and Human3.6M as a source, or two folders of video",
            config="sa3dhp_datasets.config:JoinedConfig",
            target="sa3dhp_datasets.joined:Joined",
            capabilities=frozenset(("clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.shard_example:joined",
        ),
        Component(
            noun="image_data",
            id="human36m",
            summary="Crops of Human3.6M's videos with poses, from its CDF files, videos and metadata.xml",
            config="sa3dhp_datasets.config:ShotImagesConfig",
            target="sa3dhp_datasets.human36m:human36m_images",
            capabilities=frozenset(("labels", "clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.human36m_example:human36m",
        ),
        Component(
            noun="image_data",
            id="human36m-h5",
            summary="Crops of Human3.6M's images as h36m-fetch extracts them, with the poses of annot.h5",
            config="sa3dhp_datasets.config:ShotImagesConfig",
            target="sa3dhp_datasets.human36m_h5:human36m_h5_images",
            capabilities=frozenset(("labels", "clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.human36m_h5_example:human36m_h5",
        ),
        Component(
            noun="image_data",
            id="lsp",
            summary="Leeds Sports Pose: crops of one person a picture, without poses and cameras",
            config="sa3dhp_datasets.lsp_config:LspImagesConfig",
            target="sa3dhp_datasets.lsp:lsp_images",
            example="sa3dhp_datasets.lsp_example:lsp_images",
        ),
        Component(
            noun="image_data",
            id="lsp-extended",
            summary="Leeds Sports Pose, extended training set: crops of one person a picture, without poses",
            config="sa3dhp_datasets.lsp_config:LspExtendedImagesConfig",
            target="sa3dhp_datasets.lsp:lsp_extended_images",
            example="sa3dhp_datasets.lsp_example:lsp_extended_images",
        ),
        Component(
            noun="image_data",
            id="muco-3dhp",
            summary="MuCo-3DHP: crops of people put together in one picture, with poses where cameras are known",
            config="sa3dhp_datasets.muco_config:MucoImagesConfig",
            target="sa3dhp_datasets.muco:muco_images",
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.muco_example:muco_images",
        ),
        Component(
            noun="image_data",
            id="mupots-3d",
            summary="MuPoTS-3D: crops of several people a picture, for evaluation; the camera is estimated",
            config="sa3dhp_datasets.mupots_config:MupotsImagesConfig",
            target="sa3dhp_datasets.mupots:mupots_images",
            capabilities=frozenset(("clips", "labels")),
            figures={"projection-px": 0.01},
            expected_failures={"names-its-splits": _TEST_ALONE},
            example="sa3dhp_datasets.mupots_example:mupots_images",
        ),
        Component(
            noun="image_data",
            id="shards",
            summary="Crops that `sa3dhp data pack` wrote, read as they are drawn from a folder or a web server",
            config="sa3dhp_datasets.config:ShardsConfig",
            target="sa3dhp_datasets.shards:Shards",
            capabilities=frozenset(("clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.shard_example:shards",
        ),
        Component(
            noun="image_data",
            id="video-folder",
            summary="A folder of mp4 files, each person cropped along the boxes beside it, resampled in time",
            config="sa3dhp_datasets.config:VideoFolderConfig",
            target="sa3dhp_datasets.video_folder:VideoFolder",
            capabilities=frozenset(("clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.example:video_folder",
        ),
    )


@hookimpl
def sa3dhp_keypoint_data() -> Sequence[Component]:
    """2D keypoints."""
    return (
        Component(
            noun="keypoint_data",
            id="human36m",
            summary="Keypoints and poses of Human3.6M, from its CDF files and metadata.xml, lens distortion undone",
            config="sa3dhp_datasets.config:ShotKeypointsConfig",
            target="sa3dhp_datasets.human36m:human36m_keypoints",
            capabilities=("groups", "truth"),
            example="sa3dhp_datasets.human36m_example:human36m_poses",
        ),
        Component(
            noun="keypoint_data",
            id="human36m-h5",
            summary="Keypoints and poses of Human3.6M as h36m-fetch extracts them, lens distortion undone",
            config="sa3dhp_datasets.config:ShotKeypointsConfig",
            target="sa3dhp_datasets.human36m_h5:human36m_h5_keypoints",
            capabilities=("groups", "truth"),
            example="sa3dhp_datasets.human36m_h5_example:human36m_h5_poses",
        ),
        Component(
            noun="keypoint_data",
            id="lifting-npz",
            summary="2D keypoints and 3D truth in VideoPose3D's npz files, lens distortion undone; subjects are splits",
            config="sa3dhp_datasets.config:LiftingNpzConfig",
            target="sa3dhp_datasets.lifting_npz:LiftingNpz",
            capabilities=("groups",),
            example="sa3dhp_datasets.keypoint_example:lifting",
        ),
        Component(
            noun="keypoint_data",
            id="lsp",
            summary="Leeds Sports Pose: 14 keypoints of one person a picture, on the plane of an assumed camera",
            config="sa3dhp_datasets.lsp_config:LspKeypointsConfig",
            target="sa3dhp_datasets.lsp:lsp_keypoints",
            capabilities=("groups",),
            example="sa3dhp_datasets.lsp_example:lsp_keypoints",
        ),
        Component(
            noun="keypoint_data",
            id="lsp-extended",
            summary="Leeds Sports Pose, extended training set: up to 14 keypoints of one person a picture",
            config="sa3dhp_datasets.lsp_config:LspExtendedKeypointsConfig",
            target="sa3dhp_datasets.lsp:lsp_extended_keypoints",
            capabilities=("groups",),
            example="sa3dhp_datasets.lsp_example:lsp_extended_keypoints",
        ),
        Component(
            noun="keypoint_data",
            id="muco-3dhp",
            summary="MuCo-3DHP: keypoints of people put together in one picture, with truth where cameras are known",
            config="sa3dhp_datasets.muco_config:MucoKeypointsConfig",
            target="sa3dhp_datasets.muco:muco_keypoints",
            capabilities=("groups",),
            example="sa3dhp_datasets.muco_example:muco_keypoints",
        ),
        Component(
            noun="keypoint_data",
            id="mupots-3d",
            summary="MuPoTS-3D: keypoints of several people a picture, for evaluation; the camera is estimated",
            config="sa3dhp_datasets.mupots_config:MupotsKeypointsConfig",
            target="sa3dhp_datasets.mupots:mupots_keypoints",
            capabilities=("groups", "truth"),
            expected_failures={"names-its-splits": _TEST_ALONE},
            example="sa3dhp_datasets.mupots_example:mupots_keypoints",
        ),
        Component(
            noun="keypoint_data",
            id="projected-poses",
            summary="Any pose data as given cameras around the person see them",
            config="sa3dhp_datasets.config:ProjectedPosesConfig",
            target="sa3dhp_datasets.projected:ProjectedPoses",
            capabilities=("truth",),
            example="sa3dhp_datasets.keypoint_example:projected",
        ),
    )
