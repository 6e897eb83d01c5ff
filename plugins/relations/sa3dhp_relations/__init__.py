"""Relations as an algebra of (O(3) element, time map), the networks that learn them, and their scores."""
