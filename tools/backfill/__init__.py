"""Backfill: a history through the live pipeline.

It is sorted by payment (`index`), rehearsed against the ledger without writing (`rehearsal`), and what is new in it is sent to
the queues as fast as it may be (`delivery`).
"""
