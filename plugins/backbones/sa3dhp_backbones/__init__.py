"""Backbones and image encoders: a small CNN for miniature worlds, any `transformers` backbone by name."""
