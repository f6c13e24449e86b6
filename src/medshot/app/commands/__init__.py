"""One file a command. What they import from medshot, they import inside: see `app.cli`."""
