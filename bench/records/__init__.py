"""The files that runs leave: their forms, their places, what follows from them, and their check. No torch."""

from bench.base.rooms import callable_room

callable_room(__name__)  # bench.records(...)
