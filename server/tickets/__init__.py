"""Tickets as their bearers have them: the signed code, the printable document, the entry in a calendar.

Nothing here reads a database: values go in, text and bytes come out.
"""
