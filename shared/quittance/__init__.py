"""Quittance: every payment gets exactly the papers it should have.

Data flows one way: facts (`facts`) are planned into intended documents (`plan`), which `converge`
makes real in the invoicing API and records in the `ledger`.
"""
