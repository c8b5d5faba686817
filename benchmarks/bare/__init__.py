"""A pipeline of the same shape as ours, without us: its second function makes the same calls, or does nothing."""
