"""The HTML report of a run and the TensorBoard sink of sa3dhp. Reads run directories; trains and evaluates nothing."""
