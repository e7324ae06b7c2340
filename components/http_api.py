"""`HttpApi`: an API Gateway HTTP API whose routes are Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import HTTP_API_TIMEOUT_SECONDS
from components.access import Access
from components.function_settings import FunctionSettings
from components.import_contract import check_import
from components.needs import check_needs
from components.python_function import PythonFunction
from components.refusal import Refused

#: A caller waits for the answer, so a route gives up long before a consumer would.
ROUTE = FunctionSettings(timeout=10)


@dataclass(frozen=True)
class JwtAuthorization:
    """Callers bring a JSON web token.

    Attributes:
        issuer: URL of the identity provider, `https://…`.
        audience: Accepted values of the token's `aud` claim, at least one.

    Raises:
        Refused: The issuer is not an https URL, or no audience is named.
    """

    issuer: str
    audience: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.issuer.startswith("https://"):
            raise Refused(
                f"issuer={self.issuer!r} is not an https URL, and API Gateway takes no other: write https://…"
            )
        if not self.audience:
            raise Refused("audience is empty: every token of the issuer would be refused; name at least one")


class HttpApi(pulumi.ComponentResource):
    """An HTTP API without a public route.

    Callers sign their requests (AWS_IAM): a caller with `execute-api:Invoke` is a trusted service, and says for which
    user it acts. For browsers pass a `JwtAuthorization`.

    Args:
        authorization: `None` for AWS_IAM.

    Attributes:
        api: The `aws.apigatewayv2.Api`.
        stage: Its `$default` stage, an `aws.apigatewayv2.Stage`.
        url: Its base URL.
        authorizer: Its `aws.apigatewayv2.Authorizer`, or `None` for AWS_IAM.
        functions: The `PythonFunction` of each route, by its key.

    Example:
        api = HttpApi("api")
        api.route("POST /users/{userId}/plan", upgrade_api.handler, access=[users.update_access("USERS_TABLE")])
    """

    def __init__(
        self,
        name: str,
        *,
        authorization: JwtAuthorization | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:HttpApi", name, {}, opts)
        self._name = name
        self._names: set[str] = set()
        child = pulumi.ResourceOptions(parent=self)
        self.api = aws.apigatewayv2.Api(name, protocol_type="HTTP", opts=child)
        self.stage = aws.apigatewayv2.Stage(name, api_id=self.api.id, name="$default", auto_deploy=True, opts=child)
        self.url: pulumi.Output[str] = self.stage.invoke_url
        self.authorizer: aws.apigatewayv2.Authorizer | None = None
        if authorization is not None:
            self.authorizer = aws.apigatewayv2.Authorizer(
                name,
                api_id=self.api.id,
                authorizer_type="JWT",
                identity_sources=["$request.header.Authorization"],
                jwt_configuration={"issuer": authorization.issuer, "audiences": list(authorization.audience)},
                opts=child,
            )
        self.functions: dict[str, PythonFunction] = {}
        self.register_outputs({"url": self.url})

    def route(
        self,
        route_key: str,
        handler: Callable[[dict[str, Any], Any], dict[str, Any]],
        *,
        name: str | None = None,
        access: Sequence[Access] = (),
        settings: FunctionSettings = ROUTE,
        opts: pulumi.ResourceOptions | None = None,
    ) -> PythonFunction:
        """Answer a route by a handler module's function.

        Args:
            route_key: Method and path, e.g. `POST /users/{userId}/plan`.
            handler: The module's entry point.
            name: Name of the function and its resources; the module's own by default.
            access: The function's permissions.
            settings: How the function runs; its timeout is 1 to 30 seconds here.
            opts: For the function and what belongs to it.

        Raises:
            Refused: The route or its name is taken, the route is not a method and a path, or an HTTP API would not
                wait as long as the function may take.
            ImportContractBroken: The module does more than define itself when it is imported.
        """
        method, _, path = route_key.partition(" ")
        module = handler.__module__
        name = name or module.rpartition(".")[2].replace("_", "-")
        if not method.isupper() or not path.startswith("/"):
            raise Refused(f"{route_key!r} is not a route key: write a method and a path, as in 'GET /users'")
        if route_key in self.functions:
            raise Refused(f"{route_key} is routed twice on {self._name}: one function answers a route; take one away")
        if name in self._names:
            raise Refused(f"{route_key}: {name} answers another route of {self._name}: give this one a name of its own")
        if settings.timeout > HTTP_API_TIMEOUT_SECONDS:
            raise Refused(
                f"{name}: timeout={settings.timeout}, and an HTTP API answers 503 after {HTTP_API_TIMEOUT_SECONDS} s "
                "while the function goes on: lower it, and leave longer work to a consumer of the stream"
            )
        check_import(module)
        check_needs(name, module, access, ())
        self._names.add(name)
        child = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts)
        answered_by = PythonFunction(
            name,
            entry_point=f"{module}.{handler.__name__}",
            access=access,
            settings=settings,
            opts=child,
        )
        function = answered_by.function
        integration = aws.apigatewayv2.Integration(
            name,
            api_id=self.api.id,
            integration_type="AWS_PROXY",
            integration_uri=function.invoke_arn,
            payload_format_version="2.0",
            opts=child,
        )
        aws.apigatewayv2.Route(
            name,
            api_id=self.api.id,
            route_key=route_key,
            target=pulumi.Output.concat("integrations/", integration.id),
            authorization_type="AWS_IAM" if self.authorizer is None else "JWT",
            authorizer_id=None if self.authorizer is None else self.authorizer.id,
            opts=child,
        )
        aws.lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=function.name,
            principal="apigateway.amazonaws.com",
            # This route of this API, on whichever stage.
            source_arn=pulumi.Output.concat(self.api.execution_arn, "/*/", "*" if method == "ANY" else method, path),
            opts=child,
        )
        self.functions[route_key] = answered_by
        return answered_by
