"""Checks by noun, one module each: its promises, and the parts that its components are built from on the bench."""
