"""The embedded world: generated human motion and rendered capsule people, so that everything runs without downloads."""
