"""The method `sa3dhp`: self-adaptation by relation distillation, with all the controls that its figures need."""
