"""What child processes of the tests need."""

import signal


def heed_ctrl_c():
    """For `preexec_fn`: a child inherits that Ctrl-C is ignored, as it is where the suite runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
