"""Errors that a user can fix: each message names what was given, what was wanted, and what to type next."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a full stop; the name of its type if it has no message."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return lines[0].rstrip() if lines[0].endswith("...") else lines[0].rstrip().removesuffix(".")


class ForesightError(Exception):
    """A user's mistake or a fault of their machine, with a one-line message; the command line exits with status 1."""

    status = 1


class UsageError(ForesightError):
    """A command line that asks for something impossible; the command line exits with status 2."""

    status = 2


class UnusableSample(ForesightError):
    """A sample that cannot be used; ``data.on_error=skip`` leaves it out and lists it with the reason."""

    def __init__(self, message: str, sample_id: str, reason: str) -> None:
        super().__init__(message)
        self.sample_id = sample_id
        self.reason = reason


class UnfitSample(UnusableSample):
    """A picture that can be read, but that the network or its image processor cannot take.

    Args:
        sample_id: id of the picture.
        reason: the problem, with the size of the picture.
        advice: a sentence without its full stop, on a remedy other than to leave the picture out; "" for none.

    Attributes:
        alone: the message for data without ``on_error``, such as drawn shapes.
    """

    def __init__(self, sample_id: str, reason: str, advice: str = "") -> None:
        self.alone = f"cannot prepare {sample_id!r}: {reason}" + (f". {advice}" if advice else "")
        super().__init__(f"{self.alone}. To leave such pictures out, add data.on_error=skip", sample_id, reason)
        self.advice = advice

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Rebuild from the arguments, so that the error comes back from a worker process."""
        return type(self), (self.sample_id, self.reason, self.advice)


class VerdictRefused(ForesightError):
    """A verdict on which ``fail_on=`` of ``foresight report`` fails; the command line exits with status 3."""

    status = 3
