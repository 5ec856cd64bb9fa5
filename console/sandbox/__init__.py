"""The sandbox: a whole real platform and the console on this machine (docs/architecture.md, "The sandbox").

`python -m console.sandbox run` is `make run`; `manage.py sandbox status|break|mend` talk to it.
"""
