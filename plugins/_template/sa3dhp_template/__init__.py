"""A plugin of sa3dhp; its hooks are in `plugin`."""
