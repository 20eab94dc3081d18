"""`python -m namm_xmodal.cli` does what `namm-xmodal` does."""

from namm_xmodal.cli import main

if __name__ == "__main__":
    main()
