"""The commands of `rowlock`, one file each.

A command file has a Typer called `app` with its command or commands; `server/cli.py` finds it there. What a
command runs is imported when it runs, so that `rowlock --help` stays quick.
"""
