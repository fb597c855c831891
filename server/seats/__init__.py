"""Seats: halls, the ledger that writes every seat, the feed that shows every change."""
