"""Mail: making messages from what the database says, and handing them to a mail server.

`rendering` makes words of facts, `composing` makes a mail of words, `post` speaks to the server, `sending` joins
them to the queue in the database.
"""
