"""What operators ask of a running stack, and may do with it. Documents are written by the pipeline only: this asks its queues."""
