"""The one error type that programs print as a single line."""


class UserError(ValueError):
    """Something a user can cause and mend: a wrong option, a broken file, a full disk.

    Its message is one line that names what, where, got and expected. Every program turns it into
    ``error: ...`` and a non-zero exit; every other exception is a fault of ours and keeps its
    traceback.
    """
