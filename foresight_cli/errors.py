"""The errors that a user can mend: what was given, what was wanted, what to type next."""


class ForesightError(Exception):
    """A user's mistake, or a fault of their machine, said in one line; the command line exits with status 1."""

    status = 1


class UsageError(ForesightError):
    """A command line that asks for something impossible; the command line exits with status 2."""

    status = 2


class VerdictRefused(ForesightError):
    """A verdict that ``fail_on=`` of ``foresight report`` stops at; the command line exits with status 3."""

    status = 3
