"""The `tagstream` command: options, output, exit codes. One module or folder per command.

What belongs here talks to a person at a terminal; nothing below imports it.
Start with `main.py` (the table of commands), then the command that you care about.
"""
