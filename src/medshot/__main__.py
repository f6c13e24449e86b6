"""`python -m medshot`, which is also how torchrun starts it."""

from medshot.app.cli import main

main()
