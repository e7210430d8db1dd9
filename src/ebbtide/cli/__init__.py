"""The command line: thin commands over the engine, one file per noun. `app` puts them together."""
