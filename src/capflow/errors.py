"""The one kind of error that a user is meant to read."""

import errno

# What to do about what a system refuses most often.
_ADVICE = {
    errno.ENOENT: "correct the path",
    errno.EACCES: "correct the path or its permissions",
    errno.EROFS: "choose another place",
    errno.ENOSPC: "make room on the disk and run again",
}


class CapflowError(Exception):
    """Bad input or a failed service: one sentence that names what is wrong, where, and what to do.

    Stages and the command line print the sentence alone, without a traceback, and exit with 1.
    Anything else that is raised is a bug in Capflow and keeps its traceback.
    """


def sentence(error: CapflowError | OSError) -> str:
    """What to tell the user: our own words, or which file the system refused, and why."""
    if isinstance(error, CapflowError):
        return str(error)
    # NumPy's own has no number: "500 requested and 100 written".
    if isinstance(error, IsADirectoryError):
        return f"{error.filename}: a folder, where a file is wanted; correct the path."
    reason = error.strerror or " ".join(map(str, error.args))
    if error.filename is None:
        return f"{reason}; the system refused, correct that and run again."
    advice = _ADVICE.get(error.errno or 0, "check the path, its permissions and the space on the disk")
    return f"{error.filename}: {reason}; {advice}."
