"""The evidence journal: what happened to facts, documents and findings, in a chain of entries per business customer."""
