"""Adapters between the product and AWS: parameters, queues, the table, logs and metrics."""
