"""Why a question is not answered, by whose fault that is."""

from collections.abc import Mapping


class QuestionError(Exception):
    """A question that gets no answer.

    Attributes:
        status: The HTTP status.
        code: A short machine code.
        headers: Headers of the refusal.
    """

    status = 400

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.headers = dict(headers or {})


class BadQuestionError(QuestionError):
    """The asker's fault: a parameter breaks its rule. The message names value, rule and cure."""


class UnknownError(QuestionError):
    """What is asked about is not known here."""

    status = 404


class UnavailableError(QuestionError):
    """This worker cannot answer, or not yet."""

    status = 503
