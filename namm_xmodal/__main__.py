"""`python -m namm_xmodal`: the same as the command `namm-xmodal`."""

from namm_xmodal.cli import main

if __name__ == "__main__":
    main()
