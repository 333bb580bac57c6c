"""Connections of a gateway: what is refused before there is a call, in the form that SDKs read."""

from http import HTTPStatus

from schemas.answers.trends import Problem
from streams.gateway.requests.problems import BadCallError, TooOftenError
from streams.web.connections import Connection


class GatewayConnection(Connection):
    """One connection."""

    def explain(self, status: HTTPStatus, problem: Problem) -> tuple[int, bytes]:
        """Give status and body of a refusal."""
        busy = status is HTTPStatus.SERVICE_UNAVAILABLE
        error = TooOftenError(problem.reason) if busy else BadCallError(problem.reason)
        return error.status, error.body()
