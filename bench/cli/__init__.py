"""The `bench` command: arguments in, tables and exit status out. Imports rooms when a command needs them."""
