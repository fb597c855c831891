"""The line before a sale: who comes when, how many at a time, and where everybody stands.

``order``, ``cycle``, ``estimate`` and ``line`` are pure; ``tickets`` signs what customers carry; ``index`` keeps lines
in Redis, from where a place is read without asking PostgreSQL; ``rooms`` and ``watching`` tell a process's callers
where they stand. What is true stands in the tables of ``server.db.models.waiting_room``, which the functions of
``server.domain.waiting_room`` and its neighbours write.
"""
