"""Part-guided image synthesis: a puppet of limbs that competes by depth. The learned synthesis will live here too."""
