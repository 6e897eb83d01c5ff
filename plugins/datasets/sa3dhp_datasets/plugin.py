"""What this distribution offers. Holds descriptors only; reads no file and imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


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
            id="coco-keypoints",
            summary="Pictures of people with keypoints in COCO's form: single ones, or videos with tracks",
            config="sa3dhp_datasets.coco_config:CocoImagesConfig",
            target="sa3dhp_datasets.coco:coco_images",
            capabilities=frozenset(("clips",)),
            example="sa3dhp_datasets.coco_example:coco_images",
        ),
        Component(
            noun="image_data",
            id="image-folder",
            summary="Folders of images, each one recording, its people cropped along the boxes beside it",
            config="sa3dhp_datasets.image_folder_config:ImageFolderConfig",
            target="sa3dhp_datasets.image_folder:image_folder",
            capabilities=frozenset(("clips", "families")),
            figures={"projection-px": 0.01},
            example="sa3dhp_datasets.image_folder_example:image_folder",
        ),
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
            id="coco-keypoints",
            summary="Keypoints in COCO's form, of any skeleton whose keypoints have known names; the camera is assumed",
            config="sa3dhp_datasets.coco_config:CocoKeypointsConfig",
            target="sa3dhp_datasets.coco:coco_keypoints",
            capabilities=frozenset(("groups",)),
            example="sa3dhp_datasets.coco_example:coco_keypoints",
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
            id="projected-poses",
            summary="Any pose data as given cameras around the person see them",
            config="sa3dhp_datasets.config:ProjectedPosesConfig",
            target="sa3dhp_datasets.projected:ProjectedPoses",
            capabilities=("truth",),
            example="sa3dhp_datasets.keypoint_example:projected",
        ),
    )
