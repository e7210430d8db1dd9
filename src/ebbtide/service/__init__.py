"""The process: threads, timers and signals around the clockwork; what is decided is decided in rooms below."""
