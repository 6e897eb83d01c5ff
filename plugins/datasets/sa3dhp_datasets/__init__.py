"""Real input: motion capture in BVH and npz files, and folders of video files."""
