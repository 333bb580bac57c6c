"""The table of routes: all that the server, the OpenAPI document and the tests know of them."""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.web.access.callers import Scope
from streams.web.api.parameters import Parameter, parameters_of, read_question, wire_name


@dataclass(frozen=True)
class Reply:
    """An answer with a status of its own."""

    answer: msgspec.Struct
    status: int


@dataclass(frozen=True)
class NoParameters:
    """The question of a route without parameters."""


@dataclass(frozen=True)
class Route:
    """One route; answers GET and HEAD.

    Attributes:
        path: Its path; `{name}` stands for a parameter of the question.
        question: Dataclass of its parameters, see `streams.web.api.parameters`.
        answer: Type of its answer with status 200.
        handler: Takes the question and gives the answer, or a `Reply`; its docstring is the documentation.
        also: Types of answers that come with other statuses, besides problems.
        may_be_gone: Whether what is asked about may be no longer kept, though the path does not name it.
        needs_state: Whether it asks about the state that the worker follows.
        scope: What a caller must be allowed to.
        every_tenant: Whether it can be about all tenants together.
        open: Whether strangers are answered, too, where callers need a token; they are told less.
    """

    path: str
    question: type[Any]
    answer: type[msgspec.Struct]
    handler: Callable[[Any], Awaitable[msgspec.Struct | Reply]]
    also: Mapping[int, type[msgspec.Struct]] = field(default_factory=dict)
    may_be_gone: bool = False
    needs_state: bool = True
    scope: Scope = Scope.READ
    open: bool = False
    every_tenant: bool = False

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Give the question's parameters by field."""
        return parameters_of(self.question)

    def read(self, given: Mapping[str, Sequence[str]]) -> Any:  # noqa: ANN401 - an instance of `question`
        """Read the question from the texts of its parameters.

        Raises:
            BadQuestionError: A parameter is unknown, missing, too frequent, or breaks its rule.
        """
        return read_question(self.question, self.parameters, given)

    @property
    def name(self) -> str:
        """Give a name for machines."""
        return self.path.strip("/").replace("{", "").replace("}", "").replace("/", "_")

    @property
    def summary(self) -> str:
        """Give the first line of the documentation."""
        return self._documentation[0].rstrip(".")

    @property
    def description(self) -> str:
        """Give the documentation below the first line."""
        return self._documentation[2].strip()

    @property
    def path_parameters(self) -> set[str]:
        """Give the names of the parameters that are in the path."""
        return set(re.findall(r"{(\w+)}", self.path))

    @property
    def _documentation(self) -> tuple[str, str, str]:
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")

    def __post_init__(self) -> None:
        missing = self.path_parameters - {wire_name(field) for field in self.parameters}
        if missing:
            raise TypeError(f"{self.path}: no field of {self.question.__name__} for {sorted(missing)}")
