"""`python -m vaelens`, which is the command `vaelens`."""

from vaelens.cli import main

if __name__ == "__main__":
    main()
