"""Priors of sa3dhp: pose and motion embeddings learned from unpaired motion. Holds no image and no relation."""
