"""Reconciliation: what the plan says should exist against what the invoicing API really holds, in both directions."""
