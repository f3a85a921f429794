"""Mistakes and gaps that a user can mend. Anything else that raises is a defect of ours."""


class UserError(Exception):
    """The user's mistake. The message names the flag or the file and says what to do."""

    exit_code = 2


class MissingError(UserError):
    """Something that is not there: weights, data, a GPU that was asked for, room on the disk."""

    exit_code = 3
