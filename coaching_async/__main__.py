"""`python -m coaching_async` is the command `coaching-async`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="python -m coaching_async")
