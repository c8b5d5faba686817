"""A pipeline of the same shape as ours, without us."""
