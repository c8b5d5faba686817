"""What people do with the evidence journal: export it, compare the ledger with it, erase a person's data."""
