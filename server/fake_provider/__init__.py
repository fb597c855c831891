"""A PayPal for trying, testing and measuring: it speaks PayPal's API over HTTP, has books of its own, moves no money.

It shares no code with what speaks to PayPal (`server/payments/paypal*.py`), so that neither can hide a mistake of the
other; both are held against PayPal's own OpenAPI files by the tests. `rowlock fake-provider` runs it.
"""
