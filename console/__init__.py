"""The console: Rowlock's back office in a browser, a program of its own.

It has no database. Each member of staff signs in with their Rowlock account, and whatever a page shows or changes is a
call of the gRPC API as that person: rules, rights, repeated requests and the record of who did what are the server's.
"""
