"""The one exception that a stage shows to its user without a traceback."""


class UserError(Exception):
    """A fault in parameters, data, model files or the machine that the user can fix.

    The message names what was wrong, the value received and what would be right.
    """
