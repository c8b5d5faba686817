"""The commands of `quittance`, one module each."""
