"""The one kind of error that a user is meant to read."""


class CapflowError(Exception):
    """Bad input or a failed service: one sentence that names what is wrong, where, and what to do.

    Stages and the command line print the sentence alone, without a traceback, and exit with 1.
    Anything else that is raised is a bug in Capflow and keeps its traceback.
    """
