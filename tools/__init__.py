"""Tools for developers of Quittance. Nothing in here is shipped to Lambda."""
